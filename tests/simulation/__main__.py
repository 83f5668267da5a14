"""Run one history: `python -m tests.simulation SEED`, with all that happened on it by `--trace`."""

import argparse
import sys

from .script import Kind
from .shrinking import run_one


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seed", type=int)
    parser.add_argument("--only", help="numbers of the acts that happen, with commas between; all if not given")
    parser.add_argument("--items", type=int, help="no batch has more items")
    parser.add_argument("--kind", type=Kind, choices=list(Kind), default=Kind.any)
    parser.add_argument("--trace", action="store_true", help="print every write and every start")
    args = parser.parse_args()
    only = None if args.only is None else [int(number) for number in args.only.split(",") if number]
    return run_one(args.seed, only=only, most_items=args.items, kind=args.kind, trace=args.trace)


if __name__ == "__main__":
    sys.exit(main())
