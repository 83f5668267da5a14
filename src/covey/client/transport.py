"""One request to the server: headers, retries, errors.

What is asked again, at most `ATTEMPTS` times in all: a request that never left (connection refused), one that the
server answered with 503 and `Retry-After`, one whose list came while too many others waited to be checked (429
`too_many_checks`), and one whose answer was lost. The last is safe for every request this client makes: a POST always
carries an `Idempotency-Key`, the same one each time.
"""

import asyncio
import ipaddress
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from covey.client.errors import ApiError, CoveyClientError, ProfileError, UnexpectedAnswer, Unreachable, api_error
from covey.client.profile import Profile
from covey.client.reading import WrongShape, read

T = TypeVar("T")
Json = dict[str, Any]

ADMIN = "/v1/admin"
"""Everything below takes the admin's key."""

ATTEMPTS = 4
LONGEST_WAIT = 30.0
_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
_UPLOAD_TIMEOUT = httpx2.Timeout(60.0, connect=5.0, read=300.0)


class Transport:
    """Sends requests with the profile's key and workspace."""

    def __init__(
        self,
        profile: Profile,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`transport` replaces the network; `sleep` waits between attempts."""
        self.profile = profile
        self._sleep = sleep
        self._attempts = attempts
        try:
            self._http = httpx2.AsyncClient(
                base_url=profile.url.rstrip("/"),
                timeout=_TIMEOUT,
                transport=transport,
                trust_env=not _is_loopback(profile.url),
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise ProfileError(f"The server's address {profile.url!r} is not a URL: {error}") from error

    async def close(self) -> None:
        await self._http.aclose()

    async def status(self, path: str) -> tuple[int, bytes]:
        """The status and the body of a GET, whatever it is, asked once. Raises Unreachable."""
        try:
            response = await self._http.get(path, headers=self._headers("GET", path))
        except httpx2.TransportError as error:
            raise Unreachable(_unreachable(self.profile.url, error)) from error
        return response.status_code, response.content

    async def json(self, method: str, path: str, **request: Any) -> Any:
        """The JSON of the answer. Raises ApiError, Unreachable, UnexpectedAnswer."""
        return (await self.answer(method, path, **request))[0]

    async def answer(self, method: str, path: str, **request: Any) -> tuple[Any, httpx2.Headers]:
        """The JSON of the answer, and its headers."""
        async with self.stream(method, path, **request) as response:
            content = await response.aread()
            if not content:
                return {}, response.headers
            return _parse(response, content), response.headers

    async def get(self, kind: type[T], path: str, method: str = "GET", **request: Any) -> T:
        """The answer as an instance of `kind`."""
        return shaped(kind, await self.json(method, path, **request))

    @asynccontextmanager
    async def stream(self, method: str, path: str, **request: Any) -> AsyncIterator[httpx2.Response]:
        """A good answer whose body is still to be read."""
        request["headers"] = {**self._headers(method, path), **(request.get("headers") or {})}
        if request.get("files"):
            request.setdefault("timeout", _UPLOAD_TIMEOUT)
        async with AsyncExitStack() as stack:
            yield await self._send(stack, method, path, request)

    async def _send(self, stack: AsyncExitStack, method: str, path: str, request: Mapping[str, Any]) -> httpx2.Response:
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                return await self._once(stack, method, path, request)
            except _Again as again:
                if last or again.wait > LONGEST_WAIT:
                    raise again.error from again.__cause__
                await self._sleep(max(again.wait, 0.1 * 2**attempt))
            _rewind(request)
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, stack: AsyncExitStack, method: str, path: str, request: Mapping[str, Any]) -> httpx2.Response:
        try:
            response = await stack.enter_async_context(self._http.stream(method, path, **request))
            if response.is_success:
                return response
            content = await response.aread()
        except httpx2.TransportError as error:
            raise _Again(Unreachable(_unreachable(self.profile.url, error))) from error
        except httpx2.InvalidURL as error:
            raise ProfileError(f"The server's address {self.profile.url!r} is not a URL: {error}") from error
        refused = _refusal(response, content)
        wait = _retry_after(response)
        if wait is not None and (response.status_code == 503 or _is_code(refused, "too_many_checks")):
            raise _Again(refused, wait)
        if _is_code(refused, "still_running"):
            raise _Again(refused, 0.5)
        raise refused

    def _headers(self, method: str, path: str) -> dict[str, str]:
        headers = {"accept": "application/json"}
        admin = path.startswith(ADMIN)
        key = self.profile.admin_key if admin else self.profile.api_key
        if key:
            headers["x-api-key"] = key
        if self.profile.workspace and not admin:
            headers["x-workspace-id"] = self.profile.workspace
        if method == "POST":
            headers["idempotency-key"] = str(uuid.uuid4())
        return headers


class _Again(Exception):
    """The request may be sent again after `wait` seconds; `error` is what holds if it is not."""

    def __init__(self, error: CoveyClientError, wait: float = 0.0) -> None:
        self.error = error
        self.wait = wait
        super().__init__(error.message)


def shaped(kind: type[T], data: Any) -> T:
    """`data` as an instance of `kind`. Raises UnexpectedAnswer."""
    try:
        return read(kind, data)
    except WrongShape as error:
        raise UnexpectedAnswer(f"The server's answer is not what this client knows: {error}") from error


def _parse(response: httpx2.Response, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise UnexpectedAnswer(
            f"{response.url} answered {response.status_code} with something that is not JSON. Is it a Covey server?"
        ) from error


def _refusal(response: httpx2.Response, content: bytes) -> CoveyClientError:
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if isinstance(body, dict):
        refused = api_error(response.status_code, body, response.headers.get("x-request-id", ""))
        refused.replayed = _replayed(response.headers)
        return refused
    if response.status_code >= 500:
        return api_error(response.status_code, {"message": f"The server failed ({response.status_code})"})
    return UnexpectedAnswer(f"{response.url} answered {response.status_code}. Is it a Covey server?")


def _is_code(error: CoveyClientError, code: str) -> bool:
    return isinstance(error, ApiError) and error.code == code


def _replayed(headers: httpx2.Headers) -> bool:
    return headers.get("idempotency-replayed", "") == "true"


def _retry_after(response: httpx2.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _unreachable(url: str, error: Exception) -> str:
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return f"No server answers at {url}. Is it running (`covey serve`), and is the address right (`covey login`)?"
    return f"The connection to {url} was lost: {str(error) or type(error).__name__}"


def _rewind(request: Mapping[str, Any]) -> None:
    for part in (request.get("files") or {}).values():
        part[1].seek(0)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
