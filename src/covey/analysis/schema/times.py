"""Where the type `timestamp` may stand, and what `start_time` and `end_time` may be (contract section 3)."""

from covey.analysis.schema.dialect import Schema, SchemaError, kinds, target
from covey.analysis.schema.refs import everywhere
from covey.analysis.schema.timestamps import TIME_FORMATS, TimeFormat

RESERVED = ("start_time", "end_time")
_MAY_BE = frozenset(("number", "integer", "string", "timestamp"))


def check_times(root: Schema, where: str) -> None:
    """Raise SchemaError 400 at the first timestamp or reserved property that is not as the dialect says."""
    placed = {id(schema) for schema in _places(root)}
    for path, schema in everywhere(root, where):
        if "timestamp" in kinds(schema):
            if id(schema) not in placed:
                raise SchemaError(
                    f"{path}: timestamp may stand at the top level (properties.<name>) or one array deep "
                    "(properties.<name>.items.properties.<name>), not here."
                )
            if schema.get("format") not in tuple(TimeFormat):
                raise SchemaError(
                    f"{path}.format: format is required for timestamp type; allowed values: {TIME_FORMATS}"
                )
        for name in RESERVED:
            if name in schema.get("properties", {}):
                _check_reserved(schema["properties"][name], root, f"{path}.properties.{name}")


def _places(root: Schema) -> list[Schema]:
    """The schemas that may be timestamps."""
    top = list(root.get("properties", {}).values())
    items = [schema["items"] for schema in top if "items" in schema]
    return top + [schema for item in items for schema in item.get("properties", {}).values()]


def _check_reserved(schema: Schema, root: Schema, path: str) -> None:
    seen: set[int] = set()
    open_ = [target(schema, root)]
    while open_:
        one = open_.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        ways = [target(way, root) for way in one.get("anyOf", ())]
        open_.extend(ways)
        types = set(kinds(one))
        if types - _MAY_BE or (not types and not ways):
            raise SchemaError(f"{path}: it is a number, an integer, a string without format, or a timestamp.")
        if "string" in types and "format" in one:
            raise SchemaError(f"{path}.format: a string here takes no format; use the type timestamp for one.")
