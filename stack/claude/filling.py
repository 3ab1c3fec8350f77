"""The answerer that is used unless another is chosen: it fills the schema from the text.

It knows nothing and follows nothing that the text says. The document is those texts of
the user's turns that mark pages, or else the longest; its lines are handed out in order,
one to every object of the answer:

    a property `quote` or `…_quote`   the line, exactly as it stands in the request
    other strings                     the line's first words; a date, if that is the format
    an enumeration                    the first value the line names, else the first
    integers                          1; a property `page` or `…_page`: the line's page
    numbers, booleans                 0.5, false
    arrays                            two objects, or one of anything else
    a union                           its first variant that is not null

A line that is markup (in <> or [], or begins with === or ---) is never handed out; if it
says "page 12", what follows is on page 12. Only required properties are filled. Limits on
values, which only tools that are not strict may have, are not looked at.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from stack.claude.answering import Question
from stack.claude.schemas import Schema, children, resolve, types_of, variants

OBJECTS_IN_ARRAY = 2
WORDS_IN_STRING = 8
MOST_OBJECTS_AROUND = 8
"""Arrays deeper than this are empty."""
QUOTED_CHARACTERS = 200

_MARKUP = re.compile(r"^\s*(<.*>|\[.*\]|(===|---).*)\s*$")
_PAGE = re.compile(r"page\D{0,12}(\d+)", re.IGNORECASE)
_DATE = re.compile(r"\b\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])\b")
_FORMATS: Mapping[str, str] = {
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "date": "2000-01-01",
    "duration": "P1D",
    "email": "nobody@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the document, and the page it is on."""

    text: str
    page: int


class SchemaFiller:
    """Fills schemas from the lines of the request's text."""

    def answer(self, question: Question) -> object:
        """A value that is valid for the schema, or a text that says what was read."""
        lines = _lines(question.texts)
        if question.schema is None:
            characters = sum(map(len, question.texts))
            return (
                f"Rehearsal: read {characters} characters and {question.images} images. "
                f"It begins: {lines[0].text}"
            )
        return _Filling(question.schema, lines).value(question.schema, lines[0], "")


class _Filling:
    def __init__(self, root: Schema, lines: list[Line]) -> None:
        self._root = root
        self._handed_out = _round_and_round(lines)
        self._objects_around = 0

    def value(self, schema: Schema, line: Line, name: str) -> object:
        """A value for `schema`, which stands at the property `name`."""
        schema = self._plain(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _named(cast("list[object]", schema["enum"]), line.text)
        kind = next((each for each in types_of(schema) if each != "null"), "null")
        match kind:
            case "object":
                return self._object(schema)
            case "array":
                return self._array(schema, line, name)
            case "string":
                return _string(schema, line, name)
            case _:
                return _scalar(kind, line, name)

    def _plain(self, schema: Schema) -> Schema:
        """The schema without references and unions."""
        while True:
            reference = schema.get("$ref")
            if reference is not None:
                schema = resolve(self._root, str(reference)) or {}
            elif "anyOf" in schema:
                choices = variants(schema, "anyOf")
                schema = next((each for each in choices if types_of(each) != ["null"]), choices[0])
            elif "allOf" in schema:
                schema = _together([self._plain(each) for each in variants(schema, "allOf")])
            else:
                return schema

    def _object(self, schema: Schema) -> dict[str, object]:
        line = next(self._handed_out)
        properties = children(schema, "properties")
        required = cast("list[str]", schema.get("required", []))
        self._objects_around += 1
        filled = {name: self.value(properties.get(name, {}), line, name) for name in required}
        self._objects_around -= 1
        return filled

    def _array(self, schema: Schema, line: Line, name: str) -> list[object]:
        items = schema.get("items")
        # A tool's schema, unless strict, may contain itself.
        if not isinstance(items, Mapping) or self._objects_around > MOST_OBJECTS_AROUND:
            return []
        inner = cast("Schema", items)
        many = OBJECTS_IN_ARRAY if "object" in types_of(self._plain(inner)) else 1
        return [self.value(inner, line, name) for _ in range(many)]


def _lines(texts: tuple[str, ...]) -> list[Line]:
    """The lines of the document; one that says so if there are none."""
    page = 1
    lines: list[Line] = []
    for text in _document(texts):
        for line in text.splitlines():
            if _MARKUP.match(line):
                found = _PAGE.search(line)
                page = page if found is None else int(found.group(1))
            elif line.strip():
                lines.append(Line(line.strip()[:QUOTED_CHARACTERS], page))
    return lines or [Line("There is no text.", 1)]


def _document(texts: tuple[str, ...]) -> list[str]:
    paged = [text for text in texts if any(map(_says_a_page, text.splitlines()))]
    return paged or [max(texts, key=len, default="")]


def _says_a_page(line: str) -> bool:
    return _MARKUP.match(line) is not None and _PAGE.search(line) is not None


def _round_and_round(lines: list[Line]) -> Iterator[Line]:
    while True:
        yield from lines


def _named(values: list[object], text: str) -> object:
    for value in values:
        if isinstance(value, str) and value.lower() in text.lower():
            return value
    return next((value for value in values if value is not None), None)


def _string(schema: Schema, line: Line, name: str) -> str:
    wanted = schema.get("format")
    if isinstance(wanted, str):
        date = _DATE.search(line.text)
        if wanted == "date" and date is not None:
            return date.group()
        return _FORMATS.get(wanted, line.text)
    if name == "quote" or name.endswith("_quote"):
        return line.text
    return " ".join(line.text.split()[:WORDS_IN_STRING])


def _scalar(kind: str, line: Line, name: str) -> object:
    if kind == "integer":
        return line.page if name == "page" or name.endswith("_page") else 1
    return {"number": 0.5, "boolean": False}.get(kind)


def _together(parts: list[Schema]) -> Schema:
    """One schema for a value that is valid for all of them, if they do not disagree."""
    merged: dict[str, object] = {}
    for part in parts:
        merged |= part
    merged["properties"] = {
        name: inner for part in parts for name, inner in children(part, "properties").items()
    }
    merged["required"] = [
        name for part in parts for name in cast("list[str]", part.get("required", []))
    ]
    return merged
