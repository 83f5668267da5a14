"""`python -m covey.calls.trunks.dialler CONTROL TRACE PARENT`: started by a trunk, never by hand."""

import asyncio
import sys

from covey.calls.trunks.dialler.child import serve

if __name__ == "__main__":
    asyncio.run(serve(*(int(argument) for argument in sys.argv[1:4])))
