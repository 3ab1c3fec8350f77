"""A photo, a file, an album: what becomes of them, and what the chat is told."""

import hashlib
import tempfile
from pathlib import Path

import httpx
import pypdfium2 as pdfium

from schema.failures import Failure, Stage
from tests.gateway.telegram.office import Office
from tests.stack.telegram.people import photo


async def test_a_photo_becomes_a_document_and_the_chat_shows_its_analysis_with_a_link(
    office: Office,
) -> None:
    content = photo(1)
    sent = office.ada.photographs(content, caption="#smith-v-jones found in the attic")
    await office.arrived(1)
    [(key, note, lane)] = await office.arrivals()
    assert key.startswith("uploads/smith-v-jones/photo-")
    assert key.endswith(f"-{sent.message_id}.jpg")
    assert (note, lane) == ("found in the attic", "now")

    await office.take_in()
    await office.hears("reading: 0 of 1 page")
    await office.read()
    await office.hears("analysing")
    await office.analyse()
    told = await office.hears("the original (until")
    assert "1 page" in told
    assert "smith-v-jones" in told

    [(document_id, _name, matter, _pages)] = await office.documents()
    assert matter == "smith-v-jones"
    assert await office.original(document_id) == content
    [link] = office.ada.links()
    async with httpx.AsyncClient(trust_env=False, timeout=60) as anybody:
        assert (await anybody.get(link)).content == content
    await office.all_told()
    status, analysis = office.ada.heard()
    assert status["text"].endswith("done")
    assert analysis["reply_to_message"]["message_id"] == sent.message_id


async def test_a_file_keeps_its_name_and_a_second_copy_is_known_already(office: Office) -> None:
    office.ada.hands_in(photo(2), "Letter to Jones.jpg")
    await office.arrived(1)
    await office.do_everything()
    await office.hears("the original")
    office.ada.hands_in(photo(2), "Letter to Jones.jpg")
    await office.hears("Known already")
    assert len(await office.documents()) == 1
    office.ada.hands_in(photo(2), "the same by another name.jpg")
    await office.arrived(2)
    await office.take_in()
    await office.all_told()
    await office.settled()
    assert len(await office.documents()) == 1


async def test_an_album_is_one_document_with_its_pages_in_order(office: Office) -> None:
    pages = [photo(number) for number in (3, 4, 5)]
    sent = [
        office.ada.photographs(
            page, album="a1", caption="#estate front" if number == 0 else "", held=True
        )
        for number, page in enumerate(pages)
    ]
    numbers = [one.update_id for one in sent]
    answers = await office.deliver(numbers[2], numbers[0], numbers[1], numbers[0])
    assert answers == [200] * 4
    await office.arrived(1)
    [(key, note, _lane)] = await office.arrivals()
    assert key.startswith("uploads/estate/album-")
    assert key.endswith(f"-{sent[0].message_id}.pdf")
    assert note == "front"
    await office.do_everything()
    await office.hears("3 pages")
    [(document_id, _name, _matter, page_count)] = await office.documents()
    assert page_count == 3
    pdf = await office.original(document_id)
    places = [pdf.find(page) for page in pages]
    assert places == sorted(places)
    assert places[0] > 0


async def test_files_of_an_album_that_are_pdfs_are_documents_of_their_own(office: Office) -> None:
    office.ada.hands_in(blank_pdf(1), "a.pdf", album="mixed", caption="two contracts")
    office.ada.hands_in(blank_pdf(2), "b.pdf", album="mixed")
    office.ada.photographs(photo(6), album="mixed")
    await office.arrived(3)
    arrivals = await office.arrivals()
    assert {key.rpartition("/")[2][:5] for key, _, _ in arrivals} == {"a.pdf", "b.pdf", "photo"}
    assert {note for _, note, _ in arrivals} == {"two contracts"}
    await office.do_everything()
    await office.hears("3 files", "3 done")


def blank_pdf(pages: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        pdf = pdfium.PdfDocument.new()
        for _ in range(pages):
            pdf.new_page(612, 792)
        pdf.save(Path(folder) / "blank.pdf")
        return (Path(folder) / "blank.pdf").read_bytes()


async def test_a_piece_that_comes_after_its_album_was_closed_is_a_document_of_its_own(
    office: Office,
) -> None:
    for number in (7, 8):
        office.ada.photographs(photo(number), album="late")
    await office.arrived(1)
    office.ada.photographs(photo(9), album="late")
    await office.arrived(2)
    await office.do_everything()
    await office.hears("after its album was closed")
    assert [pages for *_, pages in await office.documents()] == [2, 1]


async def test_many_files_are_told_of_in_one_message_and_one_digest(office: Office) -> None:
    for number in range(12):
        office.ada.photographs(photo(100 + number))
    office.ada.hands_in(b"\x00 no document at all", "notes.txt")
    await office.arrived(12)
    await office.settled()
    await office.hears("13 files", "12 received", "1 failed")
    await office.do_everything()
    digest = await office.hears("12 done, 1 failed")
    assert "notes.txt: Only PDF, JPEG, PNG" in digest
    await office.all_told()
    assert len(office.ada.heard()) == 2


async def test_what_fails_is_told_with_its_reason_and_the_way_out(office: Office) -> None:
    office.ada.photographs(photo(20))
    await office.arrived(1)
    await office.take_in()
    await office.read()
    await office.fail_analysis(
        Failure(stage=Stage.ANALYSE, reason="It is <b>all</b> over & done.", retry_helps=True)
    )
    told = await office.hears("this did not work")
    assert "It is <b>all</b> over & done. `aseagi retry` tries it again." in told


async def test_a_paused_house_says_what_is_waited_for(office: Office) -> None:
    office.ada.writes("/pause no money left")
    await office.hears("Paused", "no money left")
    office.ada.photographs(photo(21))
    await office.arrived(1)
    await office.take_in()
    await office.hears("waits: spending is paused (no money left)")
    office.ada.writes("/resume")
    await office.hears("Spending is allowed again")
    await office.read()
    await office.analyse()
    await office.hears("the original")


async def test_a_file_larger_than_telegram_hands_out_is_offered_an_upload_link_once(
    office: Office,
) -> None:
    sent = office.ada.hands_in(
        b"", "huge.pdf", size=34_000_000, caption="#smith-v-jones the whole file"
    )
    told = await office.hears("larger than 20 MB", f"{office.url}/upload/")
    token = told.split("/upload/")[1].split()[0]
    [(token_hash, matter, note, lane)] = await office.house.rows(
        "select token_hash, matter, note, lane::text from aseagi.upload_links"
    )
    assert bytes(token_hash) == hashlib.sha256(token.encode()).digest()
    assert (matter, note, lane) == ("smith-v-jones", "the whole file", "now")
    content = photo(22)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as anybody:
        link = f"{office.url}/upload/{token}"
        brought = await anybody.post(link, params={"path": "huge.jpg"}, content=content)
        again = await anybody.post(link, params={"path": "huge.jpg"}, content=content)
    assert (brought.status_code, again.status_code) == (200, 404), brought.text
    assert [arrived[:2] for arrived in await office.arrivals()] == [
        ("uploads/smith-v-jones/huge.jpg", "the whole file")
    ]
    await office.do_everything()
    await office.hears("the original")
    await office.all_told()
    status, analysis = office.ada.heard()
    assert status["text"] == "huge.pdf\ndone"
    assert analysis["reply_to_message"]["message_id"] == sent.message_id
