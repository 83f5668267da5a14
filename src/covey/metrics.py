"""What the server counts and measures, as Prometheus reads it. No label ever holds a number, a name or an id."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


class Metrics:
    """One process's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "covey_http_request_seconds",
            "Time to answer a request",
            ["method", "route", "status"],
            buckets=_FAST,
            registry=self.registry,
        )
        self.refused = self._counter(
            "covey_http_refused_total", "Requests and connections refused unread, by reason", "why"
        )
        self.claim_lag = self._histogram("covey_claim_lag_seconds", "From a run's start time to its start", _FAST)
        self.claim_seconds = self._histogram("covey_claim_seconds", "Time a claim took in the store", _FAST)
        self.finish_lag = self._histogram("covey_finish_lag_seconds", "From a run's end to its commit", _SLOW)
        self.runs_ended = self._counter("covey_runs_ended_total", "Runs that ended, by state", "state")
        self.calls = self._counter("covey_calls_total", "Calls that ended, by outcome or error code", "outcome")
        self.dialler_restarts = Counter(
            "covey_dialler_restarts_total", "Diallers started again after they had died", registry=self.registry
        )
        self.runs = self._gauge("covey_runs", "Items of batches that have not ended, by state", "state")
        self.batches = self._gauge("covey_batches", "Batches that have not ended, by state", "state")
        self.channels = self._gauge("covey_lane_active", "Calls that are active on a lane", "lane")
        self.channel_limit = self._gauge("covey_lane_limit", "The most calls at once on a lane", "lane")
        self.breaker = self._gauge("covey_lane_open", "1 while a lane's breaker is open", "lane")
        self.write_queue = Gauge(
            "covey_write_queue", "Operations that wait for the database's writer", registry=self.registry
        )
        self.free_disk = Gauge("covey_free_disk_bytes", "Free space where the data folder is", registry=self.registry)
        self.loop_lag = Gauge(
            "covey_loop_lag_seconds",
            "The longest that the event loop was late in the last minute",
            registry=self.registry,
        )
        self.ready = Gauge("covey_ready", "1 while the server takes work", registry=self.registry)

    def refuse(self, why: str) -> None:
        """Count a request, or a connection, that was refused."""
        self.refused.labels(why).inc()

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(name, text, [label], registry=self.registry)

    def _gauge(self, name: str, text: str, label: str) -> Gauge:
        return Gauge(name, text, [label], registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)
