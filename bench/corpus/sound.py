"""Files that can be read, kind by kind, with their share of a corpus."""

import html
import io
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from typing import Any, cast

import pillow_heif
from docx import Document
from PIL import Image

from bench.corpus.paper import sheet
from bench.corpus.studio import (
    DOCX,
    EML,
    HEIC,
    HTML,
    JPEG,
    PDF,
    PNG,
    TIFF,
    TXT,
    WEBP,
    ZIP,
    Made,
    Studio,
    jpeg,
    packed,
    picture,
    png,
    repacked,
    tiff,
)
from bench.corpus.truth import Inside
from samples.paper import Picture, Sheet, assembled, pdf, stream

LONGEST_SCAN = 30

_NAMES = ("Exhibit A", "deposition", "IMG_4127", "Scan", "order", "fax", "letter to counsel")
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")
_ACCENTS = "Señor Núñez paid 1.250,00 € to Müller & Söhne, café “Zum Löwen”."


def born_digital_pdf(studio: Studio) -> Made:
    """Typed pages: nothing is read by an engine."""
    pages = studio.chance.randint(1, 6)
    content = pdf([_typed(studio, page) for page in range(1, pages + 1)])
    return _pdf(studio, content, pages=pages, says=(f"{studio.mark} p. {pages}",))


def scanned_pdf(studio: Studio) -> Made:
    """1 to 30 pages from a scanner, few more often than many."""
    pages = min(int(studio.chance.paretovariate(0.9)), LONGEST_SCAN)
    content = pdf([picture(studio.scan(page)) for page in range(1, pages + 1)])
    return _pdf(studio, content, pages=pages, to_read=pages)


def mixed_pdf(studio: Studio) -> Made:
    """Typed pages with scanned exhibits between."""
    scans = [studio.chance.random() < 0.5 for _ in range(studio.chance.randint(0, 6))]
    scans = [False, True, *scans]
    pages: list[Sheet | Picture] = [
        picture(studio.scan(number)) if scan else _typed(studio, number)
        for number, scan in enumerate(scans, start=1)
    ]
    return _pdf(
        studio, pdf(pages), pages=len(pages), to_read=sum(scans), says=(f"{studio.mark} p. 1",)
    )


def photo(studio: Studio) -> Made:
    """A phone's JPEG, held any way round; one in ten has twelve megapixels."""
    image = studio.photo()
    if studio.chance.random() < 0.1:
        image = image.resize((3000, 4000), Image.Resampling.BILINEAR)
    orientation = studio.chance.choice((1, 1, 3, 6, 6, 8, 2, 4, 5, 7))
    content = jpeg(image, quality=70, orientation=orientation)
    return _picture(studio, content, JPEG, studio.chance.choice((".jpg", ".JPG", ".jpeg")))


def png_picture(studio: Studio) -> Made:
    """A scan or a picture of a screen."""
    return _picture(studio, png(studio.scan()), PNG, ".png")


def tiff_scan(studio: Studio) -> Made:
    """Pages as fax machines and old scanners leave them: CCITT, or LZW in greys."""
    pages = studio.chance.randint(1, 5)
    numbers = range(1, pages + 1)
    if studio.chance.random() < 0.6:
        method = studio.chance.choice(("group4", "group3"))
        content = tiff([studio.fax(page) for page in numbers], method)
    else:
        content = tiff([studio.scan(page) for page in numbers], "tiff_lzw")
    return _picture(studio, content, TIFF, studio.chance.choice((".tif", ".tiff")), pages=pages)


def webp_picture(studio: Studio) -> Made:
    """A picture sent by a messenger."""
    out = io.BytesIO()
    studio.photo().save(out, "WEBP", quality=60, method=0)
    return _picture(studio, out.getvalue(), WEBP, ".webp")


_HEIC_PHOTOS: dict[int, bytes] = {}
"""Encoding is slow: each photo once, without a stamp."""


def heic_photo(studio: Studio) -> Made:
    """An iPhone's picture. The stamp stands in a box of the file that readers pass over."""
    photo = studio.chance.choice(studio.paper.photos)
    if id(photo) not in _HEIC_PHOTOS:
        cast("Any", pillow_heif).register_heif_opener()
        out = io.BytesIO()
        photo.save(out, "HEIF", quality=40, enc_params={"preset": "ultrafast"})
        _HEIC_PHOTOS[id(photo)] = out.getvalue()
    note = studio.mark.encode()
    box = (8 + len(note)).to_bytes(4, "big") + b"free" + note
    return _picture(studio, _HEIC_PHOTOS[id(photo)] + box, HEIC, ".heic")


def word_document(studio: Studio) -> Made:
    """Paragraphs, a table and pages that its author parted."""
    document = Document()
    pages = studio.chance.randint(1, 3)
    for page in range(1, pages + 1):
        if page > 1:
            document.add_page_break()
        for line in filter(None, studio.text().splitlines()):
            document.add_paragraph(line)
        document.add_paragraph(f"{studio.mark} p. {page}")
    cells = document.add_table(rows=1, cols=2).rows[0].cells
    cells[0].text, cells[1].text = "Paid to", "Müller & Söhne"
    out = io.BytesIO()
    document.save(out)
    return _own_text(
        studio,
        repacked(out.getvalue()),
        DOCX,
        ".docx",
        pages=pages,
        says=(f"{studio.mark} p. {pages}", "Müller & Söhne"),
    )


def text_file(studio: Studio) -> Made:
    """Text in one of the encodings that lie around."""
    pages = studio.chance.randint(1, 3)
    text = "\f".join(
        f"{studio.text()}\n{_ACCENTS}\n{studio.mark} p. {page}\n" for page in range(1, pages + 1)
    )
    content = text.encode(studio.chance.choice(_ENCODINGS), "replace")
    says = (_ACCENTS, f"{studio.mark} p. {pages}")
    return _own_text(studio, content, TXT, ".txt", pages=pages, says=says)


def html_page(studio: Studio) -> Made:
    """A page of a court's docket, as a browser keeps it; its script is not its text."""
    rows = "".join(f"<p>{html.escape(line)}</p>\n" for line in studio.text().splitlines() if line)
    content = (
        f"<!DOCTYPE html>\n<html><head><meta charset='utf-8'><title>Docket {studio.mark}</title>"
        f"<script>var hidden = 'not to be seen';</script></head>\n<body>\n{rows}"
        f"<p>{html.escape(_ACCENTS)}</p><p>{studio.mark}</p></body></html>\n"
    ).encode()
    return _own_text(studio, content, HTML, ".html", says=(studio.mark, _ACCENTS))


def mail(studio: Studio) -> Made:
    """An e-mail whose attachments become documents of their own."""
    attached = [
        _inner(studio, number, _ATTACHED) for number in range(1, studio.chance.randint(0, 3) + 1)
    ]
    content = mail_of(studio, [made for made, _ in attached])
    return _own_text(
        studio,
        content,
        EML,
        ".eml",
        says=(studio.mark, "Ada Smith", _ACCENTS),
        members=[inside for _, inside in attached],
    )


def mail_of(studio: Studio, attached: list[Made]) -> bytes:
    """An e-mail with these files attached."""
    message = EmailMessage()
    message["From"] = "Ada Smith <ada@example.com>"
    message["To"] = "counsel@example.com"
    message["Date"] = "Fri, 01 Mar 2024 12:00:00 +0000"
    message["Subject"] = f"Smith v. Jones, {studio.mark}"
    message["Message-ID"] = f"<{studio.mark}@example.com>"
    message.set_content(f"{studio.text()[:1500]}\n{_ACCENTS}\n")
    for made in attached:
        main, _, sub = str(made.facts["media_type"] or "application/octet-stream").partition("/")
        if main in {"text", "message"}:
            main, sub = "application", "octet-stream"
        message.add_attachment(made.content, maintype=main, subtype=sub, filename=made.name)
    if attached:
        message.set_boundary(f"part-of-{studio.mark}")
    return message.as_bytes()


def archive(studio: Studio) -> Made:
    """A ZIP of a folder, now and then with a ZIP in it; what systems leave there is no file."""
    return _archive(studio, depth=studio.chance.choice((0, 0, 1)))


def _archive(studio: Studio, depth: int) -> Made:
    inner = [
        _inner(studio, number, _PACKED) for number in range(1, studio.chance.randint(2, 6) + 1)
    ]
    members = [(f"case file/{made.name}", made.content) for made, _ in inner]
    insides = [inside for _, inside in inner]
    if depth:
        nested = _archive(studio.again("-z"), depth - 1)
        members.append((f"case file/more/{nested.name}", nested.content))
        insides.append(nested.inside("ZIP"))
    members += [
        ("__MACOSX/case file/._Scan.pdf", b"\x00\x05\x16\x07"),
        ("case file/.DS_Store", b"\x00\x00\x00\x01Bud1"),
        ("case file/empty folder/", b""),
    ]
    facts = {"media_type": ZIP, "members": insides}
    return Made(f"{_name(studio)}.zip", packed(members), facts)


def wrong_layer(studio: Studio) -> Made:
    """A scan behind which another program put what it guessed: it is read, not believed."""
    page = picture(studio.scan())
    guess = f"lhe p1aintiff c0mes befcre thls Courl and rnoves to denv tbe sarne {studio.mark}"
    image = (
        f"/Type /XObject /Subtype /Image /Width {page.width_pixels} /Height {page.height_pixels}"
        " /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode"
    )
    drawing = (
        "q 612 0 0 792 0 0 cm /Scan Do Q\n"
        f"BT 3 Tr /F 10 Tf 72 700 Td 12 TL {f'({guess}) Tj T* ' * 20} ET"
    )
    content = assembled(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 6 0 R"
            b" /Resources << /XObject << /Scan 4 0 R >> /Font << /F 5 0 R >> >> >>",
            stream(page.jpeg, image),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            stream(drawing.encode(), ""),
        ]
    )
    return _pdf(studio, content, pages=1, to_read=1)


def mislabelled(studio: Studio) -> Made:
    """A sound file under a name that says something else."""
    make, ending = studio.chance.choice(
        ((photo, ".pdf"), (born_digital_pdf, ".txt"), (png_picture, ".docx"), (word_document, ""))
    )
    made = make(studio)
    return Made(made.name.rpartition(".")[0] + ending, made.content, made.facts)


SOUND: Mapping[str, tuple[float, Callable[[Studio], Made]]] = {
    "born-digital PDF": (16, born_digital_pdf),
    "scanned PDF": (17, scanned_pdf),
    "mixed PDF": (6, mixed_pdf),
    "JPEG photo": (15, photo),
    "PNG": (7, png_picture),
    "TIFF": (6, tiff_scan),
    "WebP": (3, webp_picture),
    "HEIC": (4, heic_photo),
    "DOCX": (8, word_document),
    "TXT": (5, text_file),
    "HTML": (3, html_page),
    "e-mail": (6, mail),
    "ZIP": (3, archive),
    "PDF with a wrong text layer": (2, wrong_layer),
    "mislabelled": (2, mislabelled),
}
"""Share and maker of every kind, the most ordinary first."""

_ATTACHED = ("born-digital PDF", "scanned PDF", "JPEG photo", "DOCX", "TXT")
_PACKED = (*_ATTACHED, "PNG", "TIFF", "HTML", "e-mail", "mixed PDF")


def _inner(studio: Studio, number: int, kinds: tuple[str, ...]) -> tuple[Made, Inside]:
    kind = studio.chance.choice(kinds)
    made = SOUND[kind][1](studio.again(f"-{number}"))
    made = Made(f"{number} {made.name}", made.content, made.facts)
    return made, made.inside(kind)


def _typed(studio: Studio, page: int) -> Sheet:
    return sheet(studio.text(), f"{studio.mark} p. {page}")


def _name(studio: Studio) -> str:
    return f"{studio.chance.choice(_NAMES)} {studio.mark}"


def _pdf(studio: Studio, content: bytes, **facts: object) -> Made:
    return Made(f"{_name(studio)}.pdf", content, {"media_type": PDF, **facts})


def _picture(
    studio: Studio, content: bytes, media_type: str, ending: str, *, pages: int = 1
) -> Made:
    facts = {"media_type": media_type, "pages": pages, "to_read": pages}
    return Made(f"{_name(studio)}{ending}", content, facts)


def _own_text(
    studio: Studio,
    content: bytes,
    media_type: str,
    ending: str,
    *,
    says: tuple[str, ...],
    pages: int = 1,
    members: list[Inside] | None = None,
) -> Made:
    facts = {"media_type": media_type, "pages": pages, "says": says, "members": members or []}
    return Made(f"{_name(studio)}{ending}", content, facts)
