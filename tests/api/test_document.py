"""The API document is the one that is checked in, closed, and says everything."""

from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from covey.api.app import document as made
from covey.api.kit.auth import PUBLIC
from covey.api.kit.reference import html, markdown
from tests.api.document import document

DOCS = Path(__file__).parents[2] / "docs"


def test_the_checked_in_document_is_up_to_date() -> None:
    """`python -m covey.api` writes it anew."""
    assert (DOCS / "openapi.json").read_bytes() == made()
    assert (DOCS / "api.md").read_text("utf-8") == markdown(document())


def test_the_document_is_valid() -> None:
    """By the specification (OpenAPI 3.1): among other things no parameter stands twice."""
    OpenAPIV31SpecValidator(document()).validate()


def test_every_operation_declares_its_refusals_and_has_words() -> None:
    assert document()["openapi"].startswith("3.1")
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"]
            assert operation["description"], (method, path)
            if path not in PUBLIC:
                assert {"400", "401", "403", "429", "500", "503"} <= set(operation["responses"]), (method, path)
                assert operation["security"]
            for status, answer in operation["responses"].items():
                assert status == "204" or answer.get("content"), (method, path, status)


def test_shapes_are_closed() -> None:
    opened = {
        name
        for name, schema in document()["components"]["schemas"].items()
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False
    }
    assert opened == {"AgentChange", "AgentOut", "NewAgent", "QuestionIn"}


def test_only_the_first_prefix_is_in_the_document() -> None:
    assert not [path for path in document()["paths"] if path.startswith("/v1/batch-calls")]


def test_the_page_escapes_what_it_shows() -> None:
    nasty = {
        "info": {"title": "<b>"},
        "paths": {"/<i>": {"get": {"summary": "<u>", "responses": {"200": {"description": "`<s>`"}}}}},
        "components": {"schemas": {}},
    }
    page = html(nasty)
    for tag in ("<b> API", "<i>", "<u>", "<s>"):
        assert tag not in page
