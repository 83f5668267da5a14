"""The typed client of a Covey server.

import asyncio
from covey.client import CoveyClient

async def main() -> None:
    async with CoveyClient() as covey:
        print((await covey.batches.get("batch_…")).progress)

asyncio.run(main())
"""

from covey.client.batches import Batches as Batches
from covey.client.batches import StartOptions as StartOptions
from covey.client.client import CoveyClient as CoveyClient
from covey.client.errors import ApiError as ApiError
from covey.client.errors import BadRequest as BadRequest
from covey.client.errors import Conflict as Conflict
from covey.client.errors import CoveyClientError as CoveyClientError
from covey.client.errors import DuplicateBatch as DuplicateBatch
from covey.client.errors import InvalidRows as InvalidRows
from covey.client.errors import NotFound as NotFound
from covey.client.errors import ProfileError as ProfileError
from covey.client.errors import RateLimited as RateLimited
from covey.client.errors import Refused as Refused
from covey.client.errors import ServerError as ServerError
from covey.client.errors import TooLarge as TooLarge
from covey.client.errors import Unavailable as Unavailable
from covey.client.errors import UnexpectedAnswer as UnexpectedAnswer
from covey.client.errors import Unprocessable as Unprocessable
from covey.client.errors import Unreachable as Unreachable
from covey.client.models import Agent as Agent
from covey.client.models import BadNumber as BadNumber
from covey.client.models import Batch as Batch
from covey.client.models import BatchPage as BatchPage
from covey.client.models import BatchRow as BatchRow
from covey.client.models import BlockedList as BlockedList
from covey.client.models import Blocking as Blocking
from covey.client.models import Call as Call
from covey.client.models import CallPage as CallPage
from covey.client.models import CallResult as CallResult
from covey.client.models import CancelDetails as CancelDetails
from covey.client.models import Cancelled as Cancelled
from covey.client.models import HistoryEvent as HistoryEvent
from covey.client.models import Holding as Holding
from covey.client.models import InvalidRow as InvalidRow
from covey.client.models import Pagination as Pagination
from covey.client.models import Progress as Progress
from covey.client.models import RecentCall as RecentCall
from covey.client.models import StartedBatch as StartedBatch
from covey.client.models import StartedCall as StartedCall
from covey.client.models import Turn as Turn
from covey.client.profile import Profile as Profile
from covey.client.profile import load_profile as load_profile
from covey.client.profile import profile_path as profile_path
from covey.client.profile import save_profile as save_profile
