"""`python -m benchmarks NAME [ARGUMENT …]` runs one measurement; without a name, those that take a minute or two."""

import importlib
import sys
from pathlib import Path

QUICK = ("engine", "postgres", "rivals", "hearing", "understanding", "intake", "calls")
"""What `make bench` runs. The others take longer: `cancels`, `kills`, `upload`, `trunk_down`, `pg_cancels`, `pg_lane`,
`pg_fair`, `pg_growth`, `asset_upload`, `webhooks`, `analysis`, `prompts`, `checks`, `headers`,
`stalls`; `compare` needs other versions beside this one."""


def main() -> None:
    """Run what was named; says what there is if it is unknown."""
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "def main" in path.read_text())
    if sys.argv[1:] and sys.argv[1] not in known:
        sys.exit(f"{__doc__}\nNAME is one of: {', '.join(name for name in known if name != '__main__')}")
    names = [sys.argv[1]] if len(sys.argv) > 1 else list(QUICK)
    sys.argv = sys.argv[1:] or [sys.argv[0]]
    for name in names:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"== {name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        try:
            module.main()
        except SystemExit as ended:
            if ended.code:
                raise


if __name__ == "__main__":
    main()
