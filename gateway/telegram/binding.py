"""The pictures of an album as one PDF, a page each, in the order they were sent.

JPEGs go in as they are, without loss; other pictures as their pixels. A photo's
orientation becomes how its page shows it. The same pictures give the same bytes, so
that doing it again is the same document.

Works as a process of its own (`python -m gateway.telegram.binding OUT PICTURE …`): what
decodes pictures stays out of the gateway's memory, and can be ended when it hangs.
"""

import asyncio
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from blocks.confinement import limit_memory, program, surroundings
from schema.failures import BadInput

if TYPE_CHECKING:
    import pypdfium2 as pdfium
    from PIL import Image

BIND_SECONDS = 60.0
MOST_PIXELS = 50_000_000
"""Of one picture that must be decoded."""

POINTS_PER_PIXEL = 72 / 200
"""200 dots per inch, at which pages of PDFs are read: a page shows each pixel once."""

HAIR = 0.001
"""Points a page is narrower, so that no rounding makes it one pixel wider than its picture."""

MOST_MEMORY_BYTES = 1024**3
"""Of the process that binds; beyond, the pictures stay documents of their own."""

_ONE_AT_A_TIME = asyncio.Semaphore(1)
"""Pictures that must be decoded are large, and the server is small."""

_REFUSED = 3
_ORIENTATION = 0x0112

# Where the unit square of a picture goes on a page of width W and height H, by EXIF
# orientation: the factors of a, c, e with W, and of b, d, f with H.
_PLACES = {
    1: ((1, 0, 0), (0, 1, 0)),
    2: ((-1, 0, 1), (0, 1, 0)),
    3: ((-1, 0, 1), (0, -1, 1)),
    4: ((1, 0, 0), (0, -1, 1)),
    5: ((0, -1, 1), (-1, 0, 1)),
    6: ((0, 1, 0), (-1, 0, 1)),
    7: ((0, 1, 0), (1, 0, 0)),
    8: ((0, -1, 1), (1, 0, 0)),
}


async def bind(pictures: Sequence[Path], out: Path) -> None:
    """Write the PDF of these pictures to `out`.

    Raises `BadInput` when one of them cannot be read, `TimeoutError` when it takes too long.
    """
    async with _ONE_AT_A_TIME:
        process = await asyncio.create_subprocess_exec(
            *program("gateway.telegram.binding", str(out), *map(str, pictures)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            **surroundings(),
        )
        try:
            async with asyncio.timeout(BIND_SECONDS):
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if code != 0:
        raise BadInput("A picture of the album cannot be read.")


def bind_here(pictures: Sequence[Path], out: Path) -> None:
    """The same in this process; raises what the libraries raise."""
    import pypdfium2 as pdfium  # noqa: PLC0415 - in the process that needs it

    pdf = pdfium.PdfDocument.new()
    for picture in pictures:
        _add_page(pdf, picture)
    pdf.save(out)
    pdf.close()
    _make_same(out, pictures)


def _add_page(pdf: "pdfium.PdfDocument", picture: Path) -> None:
    import pypdfium2 as pdfium  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    placed = pdfium.PdfImage.new(pdf)
    with Image.open(picture, formats=("JPEG", "PNG")) as image:
        orientation = image.getexif().get(_ORIENTATION, 1)
        width, height = image.size
        if image.format == "JPEG" and image.mode in {"L", "RGB"}:
            # Until the PDF is saved: it is copied from the file.
            placed.load_jpeg(picture)
        else:
            if width * height > MOST_PIXELS:
                raise BadInput("The picture is too large.")
            placed.set_bitmap(pdfium.PdfBitmap.from_pil(_flat(image)))
    across, down = _PLACES.get(orientation, _PLACES[1])
    if across[0] == 0:
        width, height = height, width
    page_width, page_height = (size * POINTS_PER_PIXEL - HAIR for size in (width, height))
    page = pdf.new_page(page_width, page_height)
    placed.set_matrix(
        pdfium.PdfMatrix(
            across[0] * page_width,
            down[0] * page_height,
            across[1] * page_width,
            down[1] * page_height,
            across[2] * page_width,
            down[2] * page_height,
        )
    )
    page.insert_obj(placed)
    page.gen_content()
    page.close()


def _flat(image: "Image.Image") -> "Image.Image":
    """As colours on white paper."""
    from PIL import Image  # noqa: PLC0415

    if image.mode == "L":
        return image.copy()
    if image.mode in {"RGB", "CMYK", "YCbCr", "1"} and "transparency" not in image.info:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB")


_DATE = re.compile(rb"\(D:(\d{14})")
_ID = re.compile(rb"/ID\[<([0-9A-F]{32})><([0-9A-F]{32})>\]")
_EDGE_BYTES = 1024


def _make_same(out: Path, pictures: Sequence[Path]) -> None:
    """Replace what PDFium writes of the time and at random, by what follows from the pictures.

    Both are where PDFium puts them, at the file's ends, and keep their lengths.
    """
    digest = hashlib.sha256()
    for picture in pictures:
        with picture.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    mark = digest.hexdigest()[:32].upper().encode()
    with out.open("r+b") as file:
        _replace(file, 0, _DATE, b"20000101000000")
        size = file.seek(0, 2)
        _replace(file, max(0, size - _EDGE_BYTES), _ID, mark)


def _replace(file: BinaryIO, start: int, what: re.Pattern[bytes], by: bytes) -> None:
    file.seek(start)
    found = what.search(file.read(_EDGE_BYTES))
    if found is None:
        return
    for group in range(1, what.groups + 1):
        file.seek(start + found.start(group))
        file.write(by)


def main() -> int:
    """Bind the pictures named on the command line; 3 if one cannot be read."""
    out, *pictures = map(Path, sys.argv[1:])
    limit_memory(MOST_MEMORY_BYTES)
    try:
        bind_here(pictures, out)
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises, the picture is at fault
        sys.stderr.write(f"{type(error).__name__}\n")
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
