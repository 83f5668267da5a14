"""A schema filled with facts, by the names of its fields."""

from typing import Any

from covey.analysis.localfacts.capabilities import refuse
from covey.analysis.localfacts.fields import CONTAINERS, Moment, Raw, Scope, chapters, known, names, texts, value
from covey.analysis.localfacts.window import View, number
from covey.analysis.schema.dialect import MAX_DEPTH, Schema, kinds, target
from covey.analysis.schema.timestamps import TimeFormat, write_time
from covey.analysis.schema.validation import Costly, StepBudget, validate

STEPS = 500_000


class Unknown(Exception):
    """Facts cannot fill this field. `scope` is what it is about."""

    def __init__(self, name: str, scope: Scope) -> None:
        super().__init__(name)
        self.name = name
        self.scope = scope


class Filler:
    """Fills what one schema asks for. `root` holds its `$defs`."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._budget = StepBudget(STEPS)

    def field(self, name: str, schema: Schema, scope: Scope, depth: int = 0) -> Any:
        """The value of a field. Raises Unknown, Costly."""
        self._budget.spend()
        schema = target(schema, self._root)
        if "const" in schema:
            return schema["const"]
        if "anyOf" in schema:
            return self._any_of(name, schema["anyOf"], scope, depth)
        raw = value(name, scope)
        if raw is None and names(name) in CONTAINERS and "object" in kinds(schema) and depth < MAX_DEPTH:
            return self.object(schema, scope, depth + 1)
        try:
            if raw is None:
                raise Unknown(name, scope)
            return self._one_of(name, self.shape(name, raw, schema, scope, depth), schema, scope)
        except Unknown:
            if "null" in kinds(schema):
                return None
            raise

    def object(self, schema: Schema, scope: Scope, depth: int = 0) -> dict[str, Any]:
        """An object of which facts fill what they can; optional fields that they cannot are left out."""
        required = schema.get("required", [])
        out: dict[str, Any] = {}
        for name, inner in schema.get("properties", {}).items():
            try:
                out[name] = self.field(name, inner, scope, depth)
            except Unknown:
                if name in required:
                    raise
        return out

    def _any_of(self, name: str, ways: list[Schema], scope: Scope, depth: int) -> Any:
        missing = Unknown(name, scope)
        nothing = False
        for way in ways:
            if kinds(target(way, self._root)) == ("null",):
                nothing = True
                continue
            try:
                return self.field(name, way, scope, depth)
            except Unknown as error:
                missing = error
        if nothing:
            return None
        raise missing

    def shape(self, name: str, raw: Raw, schema: Schema, scope: Scope, depth: int) -> Any:
        """A fact as the schema's type wants it. Raises Unknown where it cannot be that."""
        self._budget.spend()
        schema = target(schema, self._root)
        types = kinds(schema)
        if isinstance(raw, list) and (not types or "array" in types):
            return self._array(name, raw, schema, scope, depth)
        if isinstance(raw, Scope) and "object" in types and depth < MAX_DEPTH:
            return self.object(schema, raw, depth + 1)
        for kind in types or ("any",):
            made = _plain(raw, kind, schema)
            if made is not None:
                return made
        raise Unknown(name, scope)

    def _array(self, name: str, raw: list[Raw], schema: Schema, scope: Scope, depth: int) -> list[Any]:
        items = target(schema.get("items", {}), self._root)
        if "anyOf" in items:
            items = next((target(way, self._root) for way in items["anyOf"]), {})
        made = [self._one_of(name, self.shape(name, each, items, scope, depth), items, scope) for each in raw]
        if len(made) < schema.get("minItems", 0):
            raise Unknown(name, scope)
        return made

    def _one_of(self, name: str, made: Any, schema: Schema, scope: Scope) -> Any:
        """The value that `enum` lists, whatever the case of its letters."""
        if "enum" not in schema or made in schema["enum"]:
            return made
        for choice in schema["enum"]:
            if isinstance(made, str) and isinstance(choice, str) and made.casefold() == choice.casefold():
                return choice
        raise Unknown(name, scope)


def fill(schema: Schema, seen: View, kind: str = "") -> Any:
    """The document that a request's schema asks for. `kind` says what a list at the root lists. Raises Refused."""
    filler, scope = Filler(schema), Scope(seen)
    top = target(schema, schema)
    try:
        if "object" in kinds(top):
            made: Any = filler.object(top, scope)
        elif "array" in kinds(top) and kind in ("text", "chapters"):
            made = filler.shape("items", texts(seen) if kind == "text" else chapters(seen), top, scope, 0)
        else:
            raise Unknown("the schema's root", scope)
    except Unknown as error:
        raise unknown(error) from None
    except Costly:
        raise refuse("The schema asks for more than may be worked out for one video.") from None
    wrong = validate(made, schema)
    if wrong:
        raise refuse(f"The schema's fields are known, but facts do not fit it. {wrong}")
    return made


def unknown(error: Unknown) -> Exception:
    """The refusal that names the field, and the fields there are."""
    fields = ", ".join(known(error.scope))
    return refuse(
        f"The field {error.name[:64]!r} cannot be filled as the schema asks; fields known there are: {fields}."
    )


def _plain(raw: Raw, kind: str, schema: Schema) -> Any:
    """A fact as a plain value of a type; None where it cannot be that."""
    if isinstance(raw, Scope):
        if kind in ("number", "integer", "timestamp"):
            raw = Moment(raw.text.start if raw.text else raw.seen.start)
        else:
            raw = raw.label
    if isinstance(raw, Moment):
        return _time(raw.seconds, kind, schema)
    if kind == "string":
        return _string(raw)
    if kind == "boolean":
        return raw if isinstance(raw, bool) else None
    if kind in ("number", "integer") and isinstance(raw, int | float) and not isinstance(raw, bool):
        return int(raw + 0.5) if kind == "integer" else round(raw, 3)
    return (raw if not isinstance(raw, list) else _string(raw)) if kind == "any" else None


def _time(seconds: float, kind: str, schema: Schema) -> Any:
    if kind == "integer":
        return int(seconds + 0.5)
    if kind in ("number", "any"):
        return round(seconds, 3)
    if kind == "timestamp":
        return write_time(seconds, TimeFormat(schema["format"]))
    return write_time(seconds, TimeFormat.milliseconds) if kind == "string" else None


def _string(raw: Raw) -> str:
    if isinstance(raw, list):
        return "\n".join(_string(each) for each in raw)
    if isinstance(raw, Scope):
        return raw.label
    if isinstance(raw, Moment):
        return str(write_time(raw.seconds, TimeFormat.milliseconds))
    if isinstance(raw, bool):
        return "yes" if raw else "no"
    return number(raw) if isinstance(raw, float) else str(raw)
