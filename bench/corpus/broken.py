"""Files that cannot be read, or not as they say, and what their owner must be told of each."""

import io
import random
import struct
import zlib
from collections.abc import Callable, Mapping

import pikepdf

from bench.corpus.sound import born_digital_pdf, photo, png_picture, text_file, word_document
from bench.corpus.studio import TXT, ZIP, Made, Studio, jpeg, packed, tiff
from bench.corpus.truth import Inside, Reason
from bench.corpus.zipcrypto import encrypted_zip
from samples.paper import assembled, stream

PAGE_BOMB_PAGES = 6000
PIXEL_BOMB_SIDE = 30_000
BOMB_BYTES = 64 * 1024**2

Maker = Callable[[Studio], Made]


def _failing(name: str, content: bytes, reason: Reason) -> Made:
    return Made(name, content, {"failed": reason})


def encrypted_pdf(studio: Studio) -> Made:
    """Opens with a password alone."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(born_digital_pdf(studio).content)) as document:
        # RC4, because AES begins with random bytes and a corpus must not.
        secret = pikepdf.Encryption(
            user=studio.mark, owner=f"owner {studio.mark}", R=3, aes=False, metadata=False
        )
        document.save(out, encryption=secret, static_id=True)
    return _failing(f"sealed {studio.mark}.pdf", out.getvalue(), Reason.PROTECTED)


def locked_zip(studio: Studio) -> Made:
    """A ZIP, each of whose files asks for a password."""
    inner = [(made.name, made.content) for made in (text_file(studio), photo(studio))]
    content = encrypted_zip(inner, password=studio.mark.encode(), chance=studio.chance)
    return _failing(f"locked {studio.mark}.zip", content, Reason.PROTECTED)


def _cut(make: Maker, reason: Reason, *, keep: float) -> Maker:
    def cut(studio: Studio) -> Made:
        made = make(studio)
        return _failing(f"half {made.name}", made.content[: int(len(made.content) * keep)], reason)

    return cut


def _zip_of_two(studio: Studio) -> Made:
    inner = [(made.name, made.content) for made in (text_file(studio), photo(studio))]
    return Made(f"{studio.mark}.zip", packed(inner))


def _one_page_tiff(studio: Studio) -> Made:
    return Made(f"fax {studio.mark}.tif", tiff([studio.scan()], "tiff_lzw"))


def empty(studio: Studio) -> Made:
    """No bytes at all."""
    return _failing(f"nothing {studio.mark}.pdf", b"", Reason.EMPTY)


def random_bytes(studio: Studio) -> Made:
    """Bytes of no kind; the first is that of none that is known."""
    content = b"\x01\x00" + studio.chance.randbytes(20_000)
    return _failing(f"recovered {studio.mark}.dat", content, Reason.OTHER_KIND)


def program_as_pdf(studio: Studio) -> Made:
    """A program for Windows under the name of an invoice."""
    content = b"MZ\x90\x00\x03\x00\x00\x00" + studio.chance.randbytes(8000)
    return _failing(f"invoice {studio.mark}.pdf", content, Reason.OTHER_KIND)


def rich_text(studio: Studio) -> Made:
    """A kind of text that is not read."""
    content = rf"{{\rtf1\ansi {studio.mark} \b Motion to compel\b0}}".encode()
    return _failing(f"motion {studio.mark}.rtf", content, Reason.OTHER_KIND)


def spreadsheet(studio: Studio) -> Made:
    """An Excel workbook under the name of a Word document: a ZIP, but not one of documents."""
    content = packed(
        [
            ("[Content_Types].xml", b"<Types/>"),
            ("xl/workbook.xml", f"<workbook><!-- {studio.mark} --></workbook>".encode()),
        ]
    )
    return _failing(f"damages {studio.mark}.docx", content, Reason.OTHER_KIND)


def blank_text(studio: Studio) -> Made:
    """Nothing but blanks."""
    content = b" \n" * (10 + studio.chance.randrange(5000))
    return _failing(f"notes {studio.mark}.txt", content, Reason.NO_TEXT)


def pixel_bomb(studio: Studio) -> Made:
    """A hundred kilobytes that say they are 900 megapixels."""
    row = b"\x00" + b"\xff" * (PIXEL_BOMB_SIDE // 8)
    deflate = zlib.compressobj(9)
    data = b"".join(deflate.compress(row) for _ in range(PIXEL_BOMB_SIDE)) + deflate.flush()
    header = struct.pack(">IIBBBBB", PIXEL_BOMB_SIDE, PIXEL_BOMB_SIDE, 1, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (
            (b"IHDR", header),
            (b"tEXt", b"Comment\x00" + studio.mark.encode()),
            (b"IDAT", data),
            (b"IEND", b""),
        )
    )
    return _failing(f"plan of the site {studio.mark}.png", content, Reason.TOO_MANY_PIXELS)


def page_bomb(studio: Studio) -> Made:
    """A small PDF whose one page is shown six thousand times."""
    kids = b"4 0 R " * PAGE_BOMB_PAGES
    content = assembled(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count %d /Kids [%s] >>" % (PAGE_BOMB_PAGES, kids),
            stream(f"% {studio.mark}".encode(), ""),
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R >>",
        ]
    )
    return _failing(f"all of it {studio.mark}.pdf", content, Reason.TOO_MANY_PAGES)


def zip_bomb(studio: Studio) -> Made:
    """A ZIP with nothing but 64 MB of zeros in 64 KB."""
    content = packed([(f"{studio.mark}.txt", bytes(BOMB_BYTES))])
    return _failing(f"documents {studio.mark}.zip", content, Reason.NOTHING_IN_IT)


def bomb_beside_letter(studio: Studio) -> Made:
    """A ZIP with a bomb and a letter: the letter is taken out, the bomb is told of."""
    letter, bomb = text_file(studio), f"more {studio.mark}.txt"
    content = packed([(bomb, bytes(BOMB_BYTES)), (letter.name, letter.content)])
    inside = [Inside(name=bomb, refused=Reason.BOMB), letter.inside("TXT")]
    return Made(f"mixed {studio.mark}.zip", content, {"media_type": ZIP, "members": inside})


def escaping_zip(studio: Studio) -> Made:
    """A ZIP whose files would be written outside of the folder it is unpacked in."""
    names = ("../../../../etc/cron.d/job", "/root/.ssh/authorized_keys", "C:\\Windows\\win.ini")
    members = [
        (name, f"{studio.mark}: what lies in {name} is a text like any other.\n".encode())
        for name in names
    ]
    inside = [
        Made(
            name.replace("\\", "/"),
            content,
            {"media_type": TXT, "pages": 1, "says": (studio.mark,)},
        ).inside("TXT")
        for name, content in members
    ]
    return Made(
        f"way out {studio.mark}.zip", packed(members), {"media_type": ZIP, "members": inside}
    )


def empty_zip(studio: Studio) -> Made:
    """A ZIP of empty folders."""
    content = packed([(f"{studio.mark}/", b"")])
    return _failing(f"folders {studio.mark}.zip", content, Reason.NOTHING_IN_IT)


def damaged_pdf(studio: Studio) -> Made:
    """The beginning and the end of a PDF, and noise between."""
    noise = random.Random(studio.mark).randbytes(5000)  # noqa: S311
    return _failing(f"torn {studio.mark}.pdf", b"%PDF-1.7\n" + noise + b"\n%%EOF", Reason.DAMAGED)


def damaged_jpeg(studio: Studio) -> Made:
    """The first bytes of a photo and then noise."""
    content = jpeg(studio.scan())[:20] + studio.chance.randbytes(9000)
    return _failing(f"bad card {studio.mark}.jpg", content, Reason.DAMAGED)


def too_complex(studio: Studio) -> Made:
    """A PDF of five kilobytes whose drawings draw each other ten billion times."""
    depth, each = 12, 10
    forms = [
        stream(
            b"/F Do " * each,
            "/Type /XObject /Subtype /Form /BBox [0 0 612 792] "
            f"/Resources << /XObject << /F {5 + level} 0 R >> >>",
        )
        for level in range(depth)
    ]
    last = stream(
        f"% {studio.mark}\n0 0 m 1 1 l S".encode(),
        "/Type /XObject /Subtype /Form /BBox [0 0 612 792]",
    )
    content = assembled(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 17 0 R"
            b" /Resources << /XObject << /F 4 0 R >> >> >>",
            *forms,
            last,
            stream(b"/F Do", ""),
        ]
    )
    return _failing(f"plan {studio.mark}.pdf", content, Reason.TOO_COMPLEX)


BROKEN: Mapping[str, Maker] = {
    "encrypted PDF": encrypted_pdf,
    "encrypted ZIP": locked_zip,
    "truncated PDF": _cut(born_digital_pdf, Reason.CUT_OFF, keep=0.7),
    "truncated JPEG": _cut(photo, Reason.DAMAGED, keep=0.5),
    "truncated PNG": _cut(png_picture, Reason.DAMAGED, keep=0.5),
    "truncated TIFF": _cut(_one_page_tiff, Reason.CUT_OFF, keep=0.5),
    "truncated DOCX": _cut(word_document, Reason.DAMAGED, keep=0.8),
    "truncated ZIP": _cut(_zip_of_two, Reason.DAMAGED, keep=0.8),
    "empty": empty,
    "random bytes": random_bytes,
    "program as PDF": program_as_pdf,
    "RTF": rich_text,
    "workbook as DOCX": spreadsheet,
    "blank text": blank_text,
    "pixel bomb": pixel_bomb,
    "page bomb": page_bomb,
    "ZIP bomb": zip_bomb,
    "ZIP bomb beside a letter": bomb_beside_letter,
    "ZIP that escapes": escaping_zip,
    "ZIP of nothing": empty_zip,
    "damaged PDF": damaged_pdf,
    "damaged JPEG": damaged_jpeg,
}
"""Maker of every broken kind but the one that takes minutes to refuse."""

COMPLEX: Mapping[str, Maker] = {"too complex PDF": too_complex}
