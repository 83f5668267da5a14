"""The demo: phones on loopback whose numbers are fictional, and the trunk that calls them. Real SIP, real sound."""

from covey.calls.trunks.demo.behaviours import Behaviour, BehaviourKind, behaviour_of, behaviours, is_demo_number
from covey.calls.trunks.demo.trunk import DemoSettings, DemoTrunk

__all__ = ["Behaviour", "BehaviourKind", "DemoSettings", "DemoTrunk", "behaviour_of", "behaviours", "is_demo_number"]
