"""Pages whose words and their places are known, turned and boxed in every way a scan can be.

The picture of a page is drawn with Pillow, word by word, so that the place of each is known to
the pixel. Each `PlacedPage` is a file as it would come in, and the words an engine without fault
would report of it: what is found wrong in a searchable PDF made of the two is its maker's.
"""

import io
import math
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import img2pdf
import pikepdf
from PIL import Image, ImageDraw, ImageFont

from schema.files import JPEG, PDF, PNG
from schema.ocr import Point, Word

WIDTH, HEIGHT = 1275, 1650
"""A letter at 150 dpi."""

SKEW_DEGREES = 3.0

SENTENCES = (
    "IN THE SUPERIOR COURT OF FULTON COUNTY",
    "Case No. 24-CV-001873 Division of Civil Matters",
    "Margaret A. Smith, Plaintiff, v. Jones Towing & Recovery, LLC, Defendant.",
    "1. On March 3, 2024 the parties agreed that $4,250.00 would be paid",
    "within thirty (30) days of service, and that no interest would accrue.",
    "Plaintiff's counsel wrote on April 11, 2024; no answer was received.",
    "I declare under penalty of perjury that the foregoing is true.",
    "Дело № 5 о взыскании долга Straße café naïve façade",
)


@dataclass(frozen=True, slots=True)
class PlacedPage:
    """A file of one page, and the words that stand on it."""

    name: str
    media_type: str
    content: bytes
    words: list[Word]


@dataclass(frozen=True, slots=True)
class FoundWord:
    """A word that a reader of the PDF found: fractions of the page as shown."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


Turn = Callable[[Point], Point]


def placed_pages() -> Iterator[PlacedPage]:
    """A page in every position; the name says which."""
    image, words = _upright()
    for degrees in (0, 90, 180, 270):
        turned, turn = _turned(image, degrees)
        yield PlacedPage(f"scan turned {degrees}", PNG, _png(turned), _moved(words, turn))
    for degrees in (SKEW_DEGREES, -SKEW_DEGREES):
        skewed, turn = _skewed(image, degrees)
        yield PlacedPage(f"scan skewed {degrees:+g}", PNG, _png(skewed), _moved(words, turn))
    sideways, turn = _turned(image, 90)
    crooked, skew = _skewed(sideways, 2)
    yield PlacedPage(
        "scan turned 90 and skewed", PNG, _png(crooked), _moved(_moved(words, turn), skew)
    )
    for degrees in (90, 180, 270):
        _, shown = _turned(image, degrees)
        yield PlacedPage(
            f"/Rotate {degrees}", PDF, _pdf(image, rotate=degrees), _moved(words, shown)
        )
    stored, _ = _turned(image, 270)
    yield PlacedPage("/Rotate that makes it upright", PDF, _pdf(stored, rotate=90), words)
    yield PlacedPage("MediaBox off the origin", PDF, _pdf(image, origin=(-36, 250)), words)
    cropped = _moved(words, lambda at: ((at[0] - 0.05) / 0.9, (at[1] - 0.04) / 0.9))
    yield PlacedPage("CropBox", PDF, _pdf(image, crop=True), cropped)
    yield PlacedPage(
        "CropBox and /Rotate 90",
        PDF,
        _pdf(image, crop=True, rotate=90, origin=(20, -30)),
        _moved(cropped, _turned(image, 90)[1]),
    )
    yield PlacedPage("/UserUnit 2", PDF, _pdf(image, user_unit=2), words)
    yield PlacedPage("small /UserUnit 40", PDF, _pdf(image, user_unit=40, scale=1 / 40), words)
    for orientation, degrees in ((6, 270), (3, 180), (8, 90)):
        stored, _ = _turned(image, degrees)
        yield PlacedPage(f"photo, EXIF {orientation}", JPEG, _jpeg(stored, orientation), words)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    yield PlacedPage("photo, EXIF 2 (mirrored)", JPEG, _jpeg(mirrored, 2), words)


def found_words(pdf: Path) -> list[FoundWord]:
    """What `pdftotext -bbox` finds on the first page."""
    command = ["pdftotext", "-bbox", "-cropbox", "-l", "1", str(pdf), "-"]
    output = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    page = next(ElementTree.fromstring(output).iterfind(".//{*}page"))  # noqa: S314 - our own
    width, height = float(page.attrib["width"]), float(page.attrib["height"])
    with pikepdf.Pdf.open(pdf) as opened:
        if opened.pages[0].rotation in (90, 270):  # it tells the size before, the places after
            width, height = height, width
    return [
        FoundWord(
            word.text or "",
            float(word.attrib["xMin"]) / width,
            float(word.attrib["yMin"]) / height,
            float(word.attrib["xMax"]) / width,
            float(word.attrib["yMax"]) / height,
        )
        for word in page.iterfind("{*}word")
    ]


def share_in_place(words: Sequence[Word], found: Sequence[FoundWord]) -> float:
    """The share of words that were found, each covering at least half of its true box."""
    placed = sum(
        any(one.text == word.text and _covered(word, one) >= 0.5 for one in found) for word in words
    )
    return placed / max(len(words), 1)


def _covered(word: Word, found: FoundWord) -> float:
    left, right = min(x for x, _ in word.quad), max(x for x, _ in word.quad)
    top, bottom = min(y for _, y in word.quad), max(y for _, y in word.quad)
    width = min(right, found.right) - max(left, found.left)
    height = min(bottom, found.bottom) - max(top, found.top)
    return max(width, 0) * max(height, 0) / ((right - left) * (bottom - top))


def _upright() -> tuple[Image.Image, list[Word]]:
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    font_file = Path(str(pikepdf.__file__)).parent.parent / "ocrmypdf/data/NotoSans-Regular.ttf"
    words: list[Word] = []
    y = 120.0
    for line, sentence in enumerate(SENTENCES * 3):
        font = ImageFont.truetype(font_file, (26, 21, 30)[line % 3])
        x = 130.0
        for text in sentence.split():
            draw.text((x, y), text, font=font, fill="black")
            left, top, right, bottom = draw.textbbox((x, y), text, font=font)
            words.append(_word(text, line, left, top, right, bottom))
            x += draw.textlength(text + " ", font=font)
        y += 60
    return image, words


def _word(text: str, line: int, left: float, top: float, right: float, bottom: float) -> Word:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    a, b, c, d = ((x / WIDTH, y / HEIGHT) for x, y in corners)
    return Word(text=text, quad=(a, b, c, d), confidence=1.0, line=line)


def _moved(words: Sequence[Word], turn: Turn) -> list[Word]:
    moved: list[Word] = []
    for word in words:
        a, b, c, d = (turn(corner) for corner in word.quad)
        moved.append(word.model_copy(update={"quad": (a, b, c, d)}))
    return moved


def _turned(image: Image.Image, clockwise: int) -> tuple[Image.Image, Turn]:
    turns: dict[int, Turn] = {
        0: lambda at: at,
        90: lambda at: (1 - at[1], at[0]),
        180: lambda at: (1 - at[0], 1 - at[1]),
        270: lambda at: (at[1], 1 - at[0]),
    }
    return image.rotate(-clockwise, expand=True), turns[clockwise]


def _skewed(image: Image.Image, clockwise: float) -> tuple[Image.Image, Turn]:
    cos, sin = math.cos(math.radians(clockwise)), math.sin(math.radians(clockwise))
    width, height = image.size

    def turn(at: Point) -> Point:
        x, y = (at[0] - 0.5) * width, (at[1] - 0.5) * height
        return (x * cos - y * sin) / width + 0.5, (x * sin + y * cos) / height + 0.5

    skewed = image.rotate(-clockwise, resample=Image.Resampling.BICUBIC, fillcolor="white")
    return skewed, turn


def _png(image: Image.Image) -> bytes:
    packed = io.BytesIO()
    image.convert("L").save(packed, "PNG", dpi=(150, 150))
    return packed.getvalue()


def _jpeg(image: Image.Image, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=80, exif=exif)
    return packed.getvalue()


def _pdf(
    image: Image.Image,
    *,
    rotate: int = 0,
    origin: tuple[float, float] = (0, 0),
    crop: bool = False,
    user_unit: float = 1,
    scale: float = 1,
) -> bytes:
    width, height = image.width * 72 / 150 * scale, image.height * 72 / 150 * scale
    left, bottom = origin

    def layout(*_: object) -> tuple[float, float, float, float]:
        return width, height, width, height

    picture = io.BytesIO()
    img2pdf.convert(
        io.BytesIO(_jpeg(image)), outputstream=picture, layout_fun=layout, first_frame_only=True
    )
    with pikepdf.Pdf.open(picture) as pdf:
        page = pdf.pages[0]
        page.contents_add(f"q 1 0 0 1 {left} {bottom} cm\n".encode(), prepend=True)
        page.contents_add(b"Q")
        page.mediabox = pikepdf.Array([left, bottom, left + width, bottom + height])
        if "/CropBox" in page.obj:
            del page.obj["/CropBox"]
        if crop:
            # A twentieth off the left and the right, 4 % off the top, 6 % off the bottom.
            page.cropbox = pikepdf.Array(
                [
                    left + 0.05 * width,
                    bottom + 0.06 * height,
                    left + 0.95 * width,
                    bottom + 0.96 * height,
                ]
            )
        page.rotate(rotate, relative=False)
        if user_unit != 1:
            page.obj["/UserUnit"] = user_unit
        packed = io.BytesIO()
        pdf.save(packed)
    return packed.getvalue()
