"""Ways to place calls: over SIP, to the demo phones, or simulated."""
