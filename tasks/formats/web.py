"""HTML as the text a reader would see. Nothing is fetched: not pictures, frames or styles."""

import re
from pathlib import Path

from inscriptis.html_engine import Inscriptis
from inscriptis.model.config import ParserConfig
from lxml.etree import ParserError
from lxml.html import HTMLParser, document_fromstring

from schema.failures import BadInput
from tasks.formats.plain import decoded

MAX_HTML_BYTES = 8 * 1024**2
"""To lay out so much markup takes about 250 MB and half a minute."""

_TOO_LARGE = f"HTML of more than {MAX_HTML_BYTES // 1024**2} MB cannot be read."
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_UNSEEN = (
    "//script | //style | //noscript | //template | //head | //iframe | //object | //svg"
    " | //*[@hidden] | //input[@type='hidden']"
)


def text_of_html_file(path: Path) -> str:
    """The text of a file of HTML; raises `BadInput` for one that is too large or too deep."""
    if path.stat().st_size > MAX_HTML_BYTES:
        raise BadInput(_TOO_LARGE)
    return text_of_html_bytes(path.read_bytes())


def text_of_html_bytes(data: bytes) -> str:
    """The same of its bytes, in the encoding that they name themselves."""
    return text_of_html(_decoded(data))


def text_of_html(page: str) -> str:
    """The text of a page of HTML; raises `BadInput` for one that is too large or too deep."""
    if len(page) > MAX_HTML_BYTES:
        raise BadInput(_TOO_LARGE)
    page = _DECLARATION.sub("", page.replace("\x00", ""), count=1)
    if not page.strip():
        return ""
    try:
        tree = document_fromstring(page, parser=HTMLParser(no_network=True, huge_tree=True))
    except ParserError:  # nothing but comments and declarations
        return ""
    for unseen in tree.xpath(_UNSEEN):
        if unseen is not tree:  # some pages are hidden whole until their scripts have run
            unseen.drop_tree()
    try:
        text = Inscriptis(tree, ParserConfig(display_images=False)).get_text()
    except RecursionError as error:
        raise BadInput("The HTML is nested too deeply to be read.") from error
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def _decoded(data: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    named = _CHARSET.search(data[:4096])
    return decoded(data.removeprefix(b"\xef\xbb\xbf"), named[1].decode() if named else None)
