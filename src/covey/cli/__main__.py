"""`python -m covey.cli` is the command `covey`."""

from covey.cli.main import run

if __name__ == "__main__":
    run()
