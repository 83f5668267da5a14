"""Requests to addresses that clients gave: assets by URL, media sources, callback_url, webhooks.

FetchError
├── FetchRefused   the address may not be asked, or its answer is more than may be taken
└── FetchFailed    there was no good answer; `retryable` says whether another time there may be
    └── NetworkLost    there was none, and this server's own network may be why
"""

from covey.fetch.addresses import Address, FetchError, FetchFailed, FetchRefused, Network, NetworkLost, check_url
from covey.fetch.answers import Progress
from covey.fetch.fetcher import Downloaded, Fetched, Fetcher, Resolve

__all__ = [
    "Address",
    "Downloaded",
    "FetchError",
    "FetchFailed",
    "FetchRefused",
    "Fetched",
    "Fetcher",
    "Network",
    "NetworkLost",
    "Progress",
    "Resolve",
    "check_url",
]
