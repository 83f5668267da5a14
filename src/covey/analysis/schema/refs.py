"""`$ref`: it leads into `$defs` and nowhere else, and it ends."""

from collections.abc import Iterator

from covey.analysis.schema.dialect import MAX_DEPTH, Schema, SchemaError, children, quoted, ref_name, shown


def check_refs(root: Schema, where: str) -> None:
    """Raise SchemaError at the first `$ref` that names no schema of `$defs`."""
    for path, schema in everywhere(root, where):
        ref = schema.get("$ref")
        if ref is not None and ref_name(ref) not in root.get("$defs", {}):
            known = (
                ", ".join(f"#/$defs/{name}" for name in list(root.get("$defs", {}))[:10]) or "none, there is no $defs"
            )
            raise SchemaError(f"{path}.$ref: {quoted(ref)} leads nowhere; there are {shown(known)}.")


def check_ends(root: Schema, where: str) -> None:
    """Raise SchemaError where `$ref`s do not end, or only after very many. Of a schema whose refs were checked."""
    leads = {name: set(_at_once(schema)) for name, schema in root.get("$defs", {}).items()}
    for _ in range(MAX_DEPTH):
        leads = {name: to for name, to in leads.items() if to & leads.keys()}
    if leads:
        name = shown(next(iter(leads)))
        raise SchemaError(
            f"{where}.$defs.{name}: its $ref never ends, or only after more than {MAX_DEPTH} others: "
            "it has to step into a property or an item."
        )


def everywhere(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema in this one, itself and `$defs` included, with its path."""
    yield path, schema
    for step, inner in children(schema):
        yield from everywhere(inner, f"{path}.{step}")
    for name, inner in schema.get("$defs", {}).items():
        yield from everywhere(inner, f"{path}.$defs.{shown(name)}")


def _at_once(schema: Schema) -> Iterator[str]:
    """The names that this schema leads to for the same value."""
    open_ = [schema]
    while open_:
        inner = open_.pop()
        if "$ref" in inner:
            yield ref_name(inner["$ref"]) or ""
        open_.extend(inner.get("anyOf", ()))
