"""docs/cli.md says what the commands say."""

from pathlib import Path

from covey.cli.exits import Exit
from covey.cli.reference import EXITS, reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_that_of_the_commands() -> None:
    assert PAGE.read_text("utf-8") == reference(), "python -m covey.cli.reference > docs/cli.md"


def test_every_exit_code_is_explained() -> None:
    assert EXITS.keys() == set(Exit)


def test_every_command_has_a_help_text() -> None:
    page = reference()
    assert "covey agents create" in page
    for section in page.split("\n## covey ")[1:]:
        assert len(section.splitlines()[4].strip()) > 10, section
