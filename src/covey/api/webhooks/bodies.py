"""Which dialect writes the body of which event."""

from covey.api.trillet.webhooks import call_event
from covey.api.twelvelabs.webhooks import analysis_event
from covey.api.webhooks.payloads import Rendering
from covey.calls.config import KIND as CALLS
from covey.store.store import Reading


def rendering(store: Reading) -> Rendering:
    """What writes the bodies of deliveries."""
    return Rendering(store, {CALLS: call_event}, analysis_event)
