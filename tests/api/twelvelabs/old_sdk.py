"""Drives a served API with whichever `twelvelabs` SDK is installed: every method of batches and tasks, and every error
as the SDK types it. Imports nothing of Covey, so that another version of the SDK can run it in a process of its own.

Usage: python old_sdk.py URL KEY ASSET UNREADY
"""

import sys
import time
from typing import Any

import httpx
from twelvelabs import TwelveLabs
from twelvelabs.core.api_error import ApiError
from twelvelabs.errors import BadRequestError, ConflictError, NotFoundError, TooManyRequestsError

ITEMS = 1000
NOWHERE = "68f4ddaf8aaa60d33df0e800"


def refused(kind: type[ApiError], status: int, code: str, call: Any, *args: Any, **named: Any) -> ApiError:
    """The call is refused with this type, status and code."""
    try:
        call(*args, **named)
    except ApiError as error:
        assert type(error) is kind, (type(error), error.body)  # noqa: PT017
        assert error.status_code == status, error.status_code  # noqa: PT017
        body: Any = error.body
        found = body.get("error", body) if isinstance(body, dict) else body
        assert found["code"] == code, body
        return error
    raise AssertionError(f"{code} was not refused")


class Drive:
    """One SDK client, and what it does."""

    def __init__(self, url: str, key: str, asset: str, unready: str) -> None:
        self.http = httpx.Client(timeout=60)
        self.client = TwelveLabs(api_key=key, base_url=f"{url}/v1.3", httpx_client=self.http)
        self.stranger = TwelveLabs(api_key="not-a-key", base_url=f"{url}/v1.3", httpx_client=self.http)
        self.batches: Any = self.client.analyze_async.batches
        self.asset, self.unready = asset, unready

    def items(self, count: int, asset: str | None = None, **more: Any) -> list[dict[str, Any]]:
        """So many items about an asset."""
        video = {"type": "asset_id", "asset_id": asset or self.asset}
        return [{"video": video, "custom_id": f"item-{n}", **more} for n in range(count)]

    def create(self, requests: Any, prompt: str | None = "hello \u00fcml\u00e4ut \U0001f600", **more: Any) -> Any:
        """Create a batch; the prompt is in the defaults."""
        named = {"model_name": "local-facts", "analysis_mode": "general", **more}
        defaults = {"defaults": {"prompt": {"input_text": prompt}}} if prompt else {}
        return self.batches.create(requests=requests, **defaults, **named)

    def until(self, batch: str, *statuses: str) -> Any:
        """The batch once it has one of these statuses; its counters add up at every look."""
        for _ in range(3000):
            found = self.batches.retrieve(batch)
            parts = ("queued", "processing", "ready", "failed", "canceled")
            assert sum(getattr(found, f"{part}_items") for part in parts) == found.total_items
            assert (found.canceled_at is not None) == (found.status == "canceled")
            if found.status in statuses:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{batch} came to none of {statuses}")

    def whole_batch(self) -> None:
        """A thousand items: created, answered, read, listed, deleted."""
        made = self.create(self.items(ITEMS))
        assert made.total_items == ITEMS
        assert made.items[7].custom_id == "item-7"
        found = self.until(made.batch_id, "completed")
        assert found.ready_items == ITEMS
        assert found.completed_at is not None
        lines = list(self.batches.results(made.batch_id))
        assert [line.task_id for line in lines] == [item.task_id for item in made.items]
        assert {line.data.data for line in lines} == {"hello \u00fcml\u00e4ut \U0001f600"}
        assert lines[0].data.usage.output_tokens > 0
        assert lines[0].data.finish_reason == "stop"
        assert self.batches.retrieve(made.batch_id.upper()).batch_id == made.batch_id
        refused(ConflictError, 409, "batch_completed", self.batches.cancel, made.batch_id)
        self.batches.delete(made.batch_id)
        refused(NotFoundError, 404, "resource_not_exist", self.batches.delete, made.batch_id)

    def canceled_batch(self) -> None:
        """A thousand items, canceled while four are processed."""
        made = self.create(self.items(ITEMS), prompt="hold")
        refused(ConflictError, 409, "batch_not_terminal", self.batches.delete, made.batch_id)
        while self.until(made.batch_id, "pending", "processing").processing_items < 4:
            time.sleep(0.01)
        lines = list(self.batches.results(made.batch_id))
        assert len(lines) == ITEMS
        assert {line.status for line in lines} == {"processing", "queued"}
        stopping = self.batches.cancel(made.batch_id)
        assert (stopping.status, stopping.canceled_items, stopping.processing_items) == ("canceling", ITEMS - 4, 4)
        assert self.batches.cancel(made.batch_id).status == "canceling"
        self.batches.create(
            model_name="pegasus1.5", analysis_mode="general", requests=self.items(1, prompt={"input_text": "release"})
        )
        found = self.until(made.batch_id, "canceled")
        assert (found.ready_items, found.canceled_items) == (4, ITEMS - 4)
        refused(ConflictError, 409, "batch_canceled", self.batches.cancel, made.batch_id)
        states = [line.status for line in self.batches.results(made.batch_id)]
        assert states.count("ready") == 4
        assert states.count("canceled") == ITEMS - 4

    def lists(self) -> None:
        """Batches over pages, by status and mode."""
        before = len(list(self.batches.list()))
        for _ in range(3):
            made = self.create(self.items(1, prompt={"input_text": "fail"}), prompt=None)
            assert self.until(made.batch_id, "completed").failed_items == 1
        line = next(iter(self.batches.results(made.batch_id)))
        assert line.error is not None
        assert line.error.code == "video_file_broken"
        everything = [batch.batch_id for batch in self.batches.list(page_limit=2)]
        assert len(everything) == before + 3
        assert everything[0] == made.batch_id
        assert everything == sorted(everything, reverse=True)
        completed = [batch.status for batch in self.batches.list(page_limit=2, status=["completed"])]
        assert completed
        assert set(completed) == {"completed"}
        assert not list(self.batches.list(analysis_mode=["time_based_metadata"]))
        refused(BadRequestError, 400, "parameter_invalid", lambda: list(self.batches.list(page_limit=51)))

    def refusals(self) -> None:
        """Every error of a create, and of ids that are none."""
        create = self.create
        refused(BadRequestError, 400, "parameter_invalid", create, self.items(1), model_name="no-such")
        refused(BadRequestError, 400, "parameter_invalid", create, self.items(1) * 2)
        refused(BadRequestError, 400, "parameter_not_provided", create, self.items(1), prompt=None)
        refused(BadRequestError, 400, "parameter_unknown", create, self.items(1, nonsense=1))
        refused(BadRequestError, 400, "parameter_invalid", create, [])
        refused(BadRequestError, 400, "parameter_invalid", create, self.items(1, asset="nonsense"))
        refused(NotFoundError, 404, "resource_not_exist", create, self.items(1, asset=NOWHERE))
        refused(ConflictError, 409, "asset_not_ready", create, self.items(1, asset=self.unready))
        for ident in (NOWHERE, "x"):
            refused(NotFoundError, 404, "resource_not_exist", self.batches.retrieve, ident)
            refused(NotFoundError, 404, "resource_not_exist", self.batches.cancel, ident)
            refused(NotFoundError, 404, "resource_not_exist", lambda given: list(self.batches.results(given)), ident)
        error = refused(ApiError, 401, "api_key_invalid", self.stranger.analyze_async.batches.retrieve, NOWHERE)
        assert isinstance(error.body, dict)
        assert error.body["code"] == "api_key_invalid"

    def too_many(self) -> None:
        """As many batches as may be active."""
        held = [self.create(self.items(1), prompt="hold") for _ in range(2)]
        error = refused(TooManyRequestsError, 429, "too_many_requests", self.create, self.items(1))
        assert int((error.headers or {})["retry-after"]) > 0
        for batch in held:
            self.batches.cancel(batch.batch_id)
        self.client.analyze_async.tasks.create(model_name="pegasus1.5", video=self.video(), prompt="release")
        for batch in held:
            self.until(batch.batch_id, "canceled")

    def video(self) -> Any:
        """The asset, as tasks take it."""
        from twelvelabs.types.video_context import VideoContext_AssetId

        return VideoContext_AssetId(asset_id=self.asset)

    def tasks(self) -> None:
        """Single tasks, and the waited-for analysis."""
        tasks = self.client.analyze_async.tasks
        made = tasks.create(model_name="local-facts", video=self.video(), prompt="what is " + "x" * 50)
        for _ in range(3000):
            found = tasks.retrieve(made.task_id)
            if found.status == "ready":
                break
            time.sleep(0.01)
        assert found.result is not None
        assert found.result.data.startswith("what is")
        assert found.video_source is not None
        assert found.video_source.asset_id == self.asset
        listed = next(one for one in tasks.list(page_limit=2).data if one.task_id == made.task_id)
        assert listed.request_params is not None
        assert listed.request_params.prompt == "what is " + "x" * 22
        tasks.delete(made.task_id)
        refused(NotFoundError, 404, "resource_not_exist", tasks.retrieve, made.task_id)
        if hasattr(tasks, "cancel"):
            held = tasks.create(model_name="local-facts", video=self.video(), prompt="hold")
            assert tasks.cancel(held.task_id).status == tasks.cancel(held.task_id).status == "canceled"
        answer = self.client.analyze(model_name="local-facts", video=self.video(), prompt="now")
        assert answer.data == "now"
        assert answer.usage is not None
        events = list(self.client.analyze_stream(model_name="local-facts", video=self.video(), prompt="in pieces"))
        assert [event.event_type for event in events] == ["stream_start", "text_generation", "stream_end"]


def main(url: str, key: str, asset: str, unready: str) -> None:
    """Everything, in order."""
    drive = Drive(url, key, asset, unready)
    with drive.http:
        _all(drive)


def _all(drive: Drive) -> None:
    drive.refusals()
    drive.canceled_batch()
    drive.whole_batch()
    drive.lists()
    drive.too_many()
    drive.tasks()


if __name__ == "__main__":
    main(*sys.argv[1:])
