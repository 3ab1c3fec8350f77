"""The part of lxml's HTML (untyped) that is used here."""

from lxml.etree import ElementBase

class HTMLParser:
    def __init__(self, *, no_network: bool = True, huge_tree: bool = False) -> None: ...

class HtmlElement(ElementBase):
    def drop_tree(self) -> None: ...

def document_fromstring(html: str, parser: HTMLParser | None = None) -> HtmlElement: ...
