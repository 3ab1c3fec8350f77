"""Which JSON schemas an answer can be held to: a part of JSON Schema, as the real API says.

Every object is closed (`additionalProperties: false`); limits on numbers, lengths and
counts are refused, except `minItems` of 0 or 1; so are schemas that contain themselves,
more than 24 optional properties, and more than 16 properties that are a union of types.
`pattern` is refused here, although the real one takes simple patterns.
"""

from collections.abc import Iterable, Mapping
from typing import cast

from stack.claude.refusals import invalid

Schema = Mapping[str, object]

MOST_OPTIONAL = 24
MOST_UNIONS = 16

STRING_FORMATS = frozenset(
    {
        *("date-time", "time", "date", "duration", "email", "hostname"),
        *("uri", "ipv4", "ipv6", "uuid"),
    }
)
_NOTES = frozenset({"title", "description", "default", "examples", "$schema", "$defs"})
_ANYWHERE = _NOTES | {"definitions", "type", "enum", "const", "anyOf", "allOf", "$ref"}
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems"}),
    "string": frozenset({"format"}),
    "integer": frozenset(),
    "number": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}


def check_schemas(schemas: Mapping[str, Schema]) -> None:
    """Refuse what cannot be compiled; keys say where in the request each schema stands.

    Raises:
        Refused: 400, with the first thing that is wrong.
    """
    optional = unions = 0
    for where, schema in schemas.items():
        check = _Check(where, schema)
        check.walk(schema, ())
        optional += check.optional
        unions += check.unions
    if optional > MOST_OPTIONAL:
        raise invalid(
            f"Schemas contains too many optional parameters ({optional}), which would make "
            "grammar compilation inefficient. Reduce the number of optional parameters "
            f"(limit: {MOST_OPTIONAL})."
        )
    if unions > MOST_UNIONS:
        raise invalid(
            f"Schemas contains too many parameters with union types ({unions} parameters with "
            "type arrays or anyOf), which would cause exponential compilation cost. Reduce the "
            f"number of nullable or union-typed parameters (limit: {MOST_UNIONS})."
        )


def resolve(root: Schema, reference: str) -> Schema | None:
    """What a `$ref` inside `root` means; None if it means nothing there."""
    prefix, _, name = reference.rpartition("/")
    if prefix not in ("#/$defs", "#/definitions"):
        return None
    found = children(root, prefix.removeprefix("#/")).get(name)
    return found if isinstance(found, Mapping) else None


def children(schema: Schema, keyword: str) -> Mapping[str, Schema]:
    """The schemas by name under a keyword such as `properties`."""
    found = schema.get(keyword)
    return cast("Mapping[str, Schema]", found) if isinstance(found, Mapping) else {}


def variants(schema: Schema, keyword: str) -> list[Schema]:
    """The schemas listed under `anyOf` or `allOf`."""
    found = schema.get(keyword)
    return cast("list[Schema]", found) if isinstance(found, list) else []


def types_of(schema: Schema) -> list[str]:
    """The types a schema names, none if it names none."""
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    listed = cast("list[object]", named) if isinstance(named, list) else []
    return [name for name in listed if isinstance(name, str)]


class _Check:
    """One schema, and what was counted in it."""

    def __init__(self, where: str, root: Schema) -> None:
        self._where = where
        self._root = root
        self.optional = 0
        self.unions = 0

    def walk(self, schema: object, inside: tuple[str, ...]) -> None:
        """Check a schema, and all in it; `inside` are the references that led here."""
        if not isinstance(schema, Mapping):
            raise invalid(f"{self._where}: Invalid schema: a schema must be an object")
        schema = cast("Schema", schema)
        reference = schema.get("$ref")
        if reference is not None:
            self._follow(str(reference), inside)
            return
        types = types_of(schema)
        self._check_keywords(schema, types)
        if "object" in types:
            self._check_object(schema, inside)
        if "array" in types:
            self._check_array(schema, inside)
        for keyword in ("anyOf", "allOf"):
            listed = variants(schema, keyword)
            if keyword in schema and not listed:
                raise invalid(f"{self._where}: {keyword}: a list of schemas is needed")
            for variant in listed:
                self.walk(variant, inside)
        if not types and not {"anyOf", "allOf", "enum", "const"} & schema.keys():
            raise invalid(f"{self._where}: Invalid schema: a type is needed")

    def _follow(self, reference: str, inside: tuple[str, ...]) -> None:
        if reference in inside:
            raise invalid(f"{self._where}: Recursive schemas are not supported: {reference}")
        target = resolve(self._root, reference)
        if target is None:
            raise invalid(f"{self._where}: $ref: cannot resolve {reference}")
        self.walk(target, (*inside, reference))

    def _check_keywords(self, schema: Schema, types: Iterable[str]) -> None:
        allowed = set(_ANYWHERE)
        for name in types:
            if name not in _KEYWORDS:
                raise invalid(f"{self._where}: Invalid type: {name}")
            allowed |= _KEYWORDS[name]
        refused = sorted(schema.keys() - allowed)
        if refused:
            kind = next(iter(types), "any")
            words = "property" if len(refused) == 1 else "properties"
            verb = "is" if len(refused) == 1 else "are"
            raise invalid(
                f"{self._where}: For '{kind}' type, {words} {', '.join(refused)} "
                f"{verb} not supported"
            )
        text_format = schema.get("format")
        if text_format is not None and str(text_format) not in STRING_FORMATS:
            raise invalid(f"{self._where}: For 'string' type, format '{text_format}' is not known")
        values = schema.get("enum", [None])
        if not isinstance(values, list) or not values:
            raise invalid(f"{self._where}: enum: a list of values is needed")
        if any(isinstance(value, dict | list) for value in cast("list[object]", values)):
            raise invalid(f"{self._where}: enum: only strings, numbers, booleans and null")

    def _check_object(self, schema: Schema, inside: tuple[str, ...]) -> None:
        if schema.get("additionalProperties") is not False:
            raise invalid(
                f"{self._where}: For 'object' type, 'additionalProperties' must be explicitly "
                "set to false"
            )
        properties = children(schema, "properties")
        required = schema.get("required", [])
        if not isinstance(required, list):
            raise invalid(f"{self._where}: required: a list of names is needed")
        for name in cast("list[object]", required):
            if not isinstance(name, str) or name not in properties:
                raise invalid(f"{self._where}: required: no property {name}")
        self.optional += len(properties.keys() - set(cast("list[str]", required)))
        for inner in properties.values():
            self.walk(inner, inside)
            if "anyOf" in inner or len(types_of(inner)) > 1:
                self.unions += 1

    def _check_array(self, schema: Schema, inside: tuple[str, ...]) -> None:
        if schema.get("minItems", 0) not in (0, 1):
            raise invalid(f"{self._where}: For 'array' type, 'minItems' must be 0 or 1")
        if "items" in schema:
            self.walk(schema["items"], inside)
