"""The API page: HTML and Markdown of our own, made from the API document. Nothing is loaded from anywhere."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Document = Mapping[str, Any]

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6675;--line:#e3e7ec;--paper:#fff;--tint:#f5f7f9;--leaf:#14735a}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaef;--soft:#98a3b1;--line:#2b333d;--paper:#14181d;--tint:#1b2127;
--leaf:#58c3a1}}
*{box-sizing:border-box}
body{margin:0;font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
header,main{max-width:56rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:3rem}
h1{font-size:1.9rem;margin:0}
h2{margin:3rem 0 .75rem;font-size:1.2rem}
p{margin:.4rem 0}
.soft{color:var(--soft)}
nav{margin-top:1rem}
nav a{margin-right:1rem}
a{color:var(--leaf)}
details{border:1px solid var(--line);border-radius:.6rem;margin:.5rem 0;background:var(--paper)}
details[open]{background:var(--tint)}
summary{cursor:pointer;padding:.6rem .9rem;display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline}
summary b{font:600 .78rem/1.4 ui-monospace,monospace;min-width:4.2rem;color:var(--leaf)}
code{font:.88rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.body{padding:0 .9rem .9rem}
table{width:100%;border-collapse:collapse;margin:.5rem 0;font-size:.92rem}
td{border-top:1px solid var(--line);padding:.35rem .75rem .35rem 0;vertical-align:top}
td:first-child{width:34%}
"""

_COMMON = frozenset({"401", "403", "408", "413", "422", "429", "500", "503"})
"""Answers that mean the same everywhere: the introduction names them."""

_INTRO = (
    "Every request but those of Health carries the headers `x-api-key` and `x-workspace-id` (administration: only "
    "the key). Times are milliseconds since 1970, durations seconds. Errors are "
    '`{"error": code, "message": sentence}`. Every answer has an `x-request-id`. Every POST honours '
    "`Idempotency-Key`, but for those that answer a file (422: it came before with another meaning). A field of a "
    "form, a query or a body that is empty is refused by its name (400), but for free text such as `name` and "
    "`reason`; null in a body stands for an absent field, unless a change says that it removes one. Any route may "
    "answer 401 or 403 (the key), 429 and 503 (ask again after `Retry-After`), 500, and those with a body 408 or 413 "
    "(too slow, too large)."
)


def html(document: Document) -> str:
    """The page as HTML."""
    groups = _groups(document)
    links = " ".join(f'<a href="#{_anchor(tag)}">{escape(tag)}</a>' for tag in groups)
    title = escape(f"{document['info']['title']} API")
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>',
        f"<header><h1>{title}</h1><p class=soft>{_marked(_INTRO)}</p>",
        f'<nav>{links} <a href="/openapi.json">openapi.json</a></nav></header><main>',
    ]
    for tag, operations in groups.items():
        parts.append(f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2>')
        parts += [_operation(document, *operation) for operation in operations]
    return "".join([*parts, "</main></body></html>\n"])


def markdown(document: Document) -> str:
    """The page as Markdown, for docs/api.md."""
    lines = [
        f"# {document['info']['title']} API",
        "",
        "Made from `docs/openapi.json` by `python -m covey.api`; a running server shows the same at `/docs`.",
        "",
        _INTRO,
    ]
    for tag, operations in _groups(document).items():
        lines += ["", f"## {tag}", ""]
        for method, path, operation in operations:
            lines += [f"### `{method} {path}`", "", f"{operation['summary']}. {_text(operation)}", ""]
            lines += _markdown_rows("Takes", _inputs(document, operation))
            lines += _markdown_rows("Answers", _answers(operation))
    return "\n".join(lines).rstrip() + "\n"


def _markdown_rows(title: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    return [f"{title}:", "", *(f"- `{name}`: {text}" if text else f"- `{name}`" for name, text in rows), ""]


def _groups(document: Document) -> dict[str, list[tuple[str, str, Any]]]:
    groups: dict[str, list[tuple[str, str, Any]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation.get("tags", ["Other"])[0]].append((method.upper(), path, operation))
    return dict(groups)


def _operation(document: Document, method: str, path: str, operation: Any) -> str:
    return (
        f"<details><summary><b>{method}</b> <code>{escape(path)}</code>"
        f" <span class=soft>{escape(operation['summary'])}</span></summary><div class=body>"
        f"<p>{_marked(_text(operation))}</p>{_table(_inputs(document, operation))}{_table(_answers(operation))}"
        "</div></details>"
    )


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{_marked(text)}</td></tr>" for name, text in rows)
    return f"<table>{cells}</table>" if rows else ""


def _text(operation: Any) -> str:
    return " ".join(str(operation.get("description", "")).split())


def _inputs(document: Document, operation: Any) -> list[tuple[str, str]]:
    rows = [
        (f"{one['in']} {one['name']}", str(one.get("description", "")))
        for one in operation.get("parameters", ())
        if one["name"] != "Idempotency-Key"
    ]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        rows += [(f"body {name}", text) for name, text in _fields(document, content["schema"])]
    return rows


def _fields(document: Document, schema: Any) -> Iterator[tuple[str, str]]:
    found = _resolved(document, schema)
    for name, field in found.get("properties", {}).items():
        kind = field.get("description") or _kind(document, field)
        yield name, f"{kind} (required)" if name in found.get("required", ()) else kind


def _resolved(document: Document, schema: Any) -> Any:
    for choice in schema.get("anyOf", ()):
        if "$ref" in choice:
            schema = choice
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(document: Document, field: Any) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(document, choice) for choice in field["anyOf"])
    if "$ref" in field:
        found = _resolved(document, field)
        return ", ".join(map(str, found["enum"])) if "enum" in found else str(found.get("title", "object"))
    if field.get("type") == "array":
        return f"list of {_kind(document, field.get('items', {}))}"
    return str(field.get("type", "anything"))


def _answers(operation: Any) -> list[tuple[str, str]]:
    return [
        (status, str(answer.get("description", "")))
        for status, answer in operation["responses"].items()
        if status not in _COMMON
    ]


def _anchor(tag: str) -> str:
    return tag.lower().replace(" ", "-")


def _marked(text: str) -> str:
    """Text with `code` in backticks, as HTML."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
