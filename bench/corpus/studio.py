"""Where a file is made: shared paper, a source of chance, and a stamp that is its alone."""

import io
import random
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from PIL import Image, PngImagePlugin

from bench.corpus.paper import Paper, stamped
from bench.corpus.truth import Inside, Truth, truth_of
from samples.paper import Picture

PDF, JPEG, PNG = "application/pdf", "image/jpeg", "image/png"
TIFF, WEBP, HEIC = "image/tiff", "image/webp", "image/heic"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TXT, HTML, EML = "text/plain", "text/html", "message/rfc822"
MSG, ZIP = "application/vnd.ms-outlook", "application/zip"

ZIP_DATE = (2024, 3, 1, 12, 0, 0)
"""Of all that is packed: archives carry times, and the same seed makes the same bytes."""


@dataclass(frozen=True)
class Made:
    """A file: its name, its bytes, and what is true of it, as fields of `Truth`."""

    name: str
    content: bytes
    facts: Mapping[str, object] = field(default_factory=dict[str, object])

    def truth(self, kind: str) -> Truth:
        """What must become of it."""
        return truth_of(self.content, kind, **self.facts)

    def inside(self, kind: str) -> Inside:
        """The same, of a file in a container."""
        return Inside(name=self.name.rpartition("/")[2], truth=self.truth(kind))


@dataclass(frozen=True)
class Studio:
    """What one file is made with; all of its chance comes from here."""

    paper: Paper
    chance: random.Random
    mark: str
    """Stands on every page, and nowhere else in the corpus."""

    def again(self, mark: str) -> "Studio":
        """The same for a file in this one: its stamp has an addition."""
        return Studio(self.paper, self.chance, f"{self.mark}{mark}")

    def text(self) -> str:
        """A page of a legal document."""
        return self.chance.choice(self.paper.texts)

    def scan(self, page: int = 1) -> Image.Image:
        """A page from an office scanner, stamped."""
        return stamped(self.chance.choice(self.paper.scans), f"{self.mark} p. {page}")

    def fax(self, page: int = 1) -> Image.Image:
        """A page in black and white, stamped."""
        return stamped(self.chance.choice(self.paper.faxes), f"{self.mark} p. {page}")

    def photo(self) -> Image.Image:
        """A page on a desk, stamped."""
        return stamped(self.chance.choice(self.paper.photos), self.mark)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held that way stores its picture, by the orientation it notes (EXIF, 0x0112)."""


def jpeg(image: Image.Image, *, quality: int = 60, orientation: int = 1) -> bytes:
    """Encode; with an orientation, as a camera held that way would have."""
    exif = Image.Exif()
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
        exif[0x0112] = orientation
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def png(image: Image.Image, *, note: str = "") -> bytes:
    """Encode in sixteen shades, which is what text needs; quickly rather than small."""
    out = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    if note:
        info.add_text("Comment", note)
    if image.mode == "L":
        image = image.point([shade // 17 * 17 for shade in range(256)])
    image.save(out, "PNG", compress_level=3, pnginfo=info)
    return out.getvalue()


def tiff(pages: Sequence[Image.Image], compression: str) -> bytes:
    """Encode all pages into one file."""
    out = io.BytesIO()
    first, *others = pages
    first.save(out, "TIFF", compression=compression, save_all=True, append_images=others)
    return out.getvalue()


def picture(image: Image.Image) -> Picture:
    """A page of a PDF that is nothing but a scan."""
    return Picture(jpeg(image, quality=50), *image.size)


def packed(members: Sequence[tuple[str, bytes]], *, deflate: bool = True) -> bytes:
    """A ZIP of these names and bytes."""
    out = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.compress_type = method
            archive.writestr(info, content)
    return out.getvalue()


def repacked(content: bytes) -> bytes:
    """The same ZIP without the times at which it was written."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return packed([(name, archive.read(name)) for name in archive.namelist()])


def fingerprint(content: bytes) -> str:
    """How a content is told from others."""
    return sha256(content).hexdigest()
