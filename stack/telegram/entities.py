"""Telegram's HTML, read as the real API reads it: tags it knows, closed in order, or refused."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass

from stack.telegram.refusals import Refused, bad_request

MOST_CHARACTERS = 4096

_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    "tg-spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "a": "text_link",
}
_NAMED = {"lt", "gt", "amp", "quot"}
_TAG = re.compile(r"<(/?)([A-Za-z0-9-]*)((?:\s+[^<>]*)?)>")
_ENTITY = re.compile(r"&(#x[0-9A-Fa-f]+|#[0-9]+|[A-Za-z]+);")
_HREF = re.compile(r"""^\s+href\s*=\s*(?:"([^"]*)"|'([^']*)')\s*$""")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text and what is special about parts of it; places count UTF-16, as Telegram does."""

    text: str
    entities: list[dict[str, object]]


def parse(text: str, parse_mode: str | None) -> Parsed:
    """A message as it will be shown; raises `Refused`."""
    if parse_mode is None:
        parsed = Parsed(text, [])
    elif parse_mode.lower() == "html":
        parsed = _parse_html(text)
    else:
        raise bad_request("unsupported parse_mode")
    kept = parsed.text.strip()
    if not kept:
        raise bad_request("message text is empty")
    if _length(kept) > MOST_CHARACTERS:
        raise bad_request("message is too long")
    cut = _length(parsed.text) - _length(parsed.text.lstrip())
    return Parsed(kept, [{**one, "offset": _int(one["offset"]) - cut} for one in parsed.entities])


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _parse_html(text: str) -> Parsed:
    shown = ""
    open_tags: list[tuple[str, int, str | None]] = []
    entities: list[dict[str, object]] = []
    place = 0
    while place < len(text):
        if text[place] == "<":
            tag = _TAG.match(text, place)
            if tag is None:
                raise _wrong("unclosed start tag", text, place)
            closing, name, rest = tag.groups()
            if closing:
                entities += _close(open_tags, name.lower(), shown, text, place)
            else:
                open_tags.append(_open(name.lower(), rest, shown, text, place))
            place = tag.end()
        elif text[place] == "&" and (found := _ENTITY.match(text, place)) is not None:
            known = found[1] in _NAMED or found[1].startswith("#")
            shown += html.unescape(found[0]) if known else found[0]
            place = found.end()
        else:
            shown += text[place]
            place += 1
    if open_tags:
        raise bad_request(
            f"can't parse entities: can't find end tag corresponding to start tag \""
            f'{open_tags[-1][0]}"'
        )
    return Parsed(shown, sorted(entities, key=lambda one: _int(one["offset"])))


def _open(name: str, rest: str, shown: str, text: str, place: int) -> tuple[str, int, str | None]:
    if name not in _KINDS:
        raise _wrong(f'unsupported start tag "{name}"', text, place)
    href = None
    if name == "a":
        found = _HREF.match(rest)
        href = html.unescape(found[1] or found[2] or "") if found else ""
    return name, _length(shown), href


def _close(
    open_tags: list[tuple[str, int, str | None]], name: str, shown: str, text: str, place: int
) -> list[dict[str, object]]:
    if not open_tags:
        raise _wrong("unexpected end tag", text, place)
    begun, start, href = open_tags.pop()
    if name and name != begun:
        raise _wrong(f'unmatched end tag, expected "</{begun}>", found "</{name}>"', text, place)
    length = _length(shown) - start
    if length == 0 or (begun == "a" and not href):
        return []
    entity: dict[str, object] = {"type": _KINDS[begun], "offset": start, "length": length}
    return [entity if href is None else {**entity, "url": href}]


def _wrong(what: str, text: str, place: int) -> Refused:
    offset = len(text[:place].encode())
    return bad_request(f"can't parse entities: {what} at byte offset {offset}")
