"""A searchable PDF is made once, made anew when its page was, and goes with its document."""

import gzip
import hashlib
from pathlib import Path
from uuid import UUID

import psycopg
import pypdfium2 as pdfium
import pytest
from pydantic import SecretStr

from bench.placed_pages import PlacedPage, placed_pages
from blocks.database import Database
from blocks.object_storage import ObjectStorage
from schema.failures import BadInput
from schema.lanes import Lane
from schema.ocr import PageText
from sql.connection import connect
from sql.documents import NewDocument, delete_document, insert_document
from tasks.publishing.searchable import Searchable, Source, make_searchable, note_on, searchable_key
from tasks.publishing.workshop import Job, Result, Workshop

PAGE = next(page for page in placed_pages() if page.name == "photo, EXIF 6")


@pytest.fixture
def database(app_dsn: str, dashboard_dsn: str) -> Database:
    return Database(dsn=SecretStr(app_dsn), dashboard_dsn=SecretStr(dashboard_dsn))


async def taken_in(
    database: Database, storage: ObjectStorage, page: PlacedPage, *, media_type: str | None = None
) -> Source:
    """The page as a document whose engine has reported its words."""
    file_hash = hashlib.sha256(page.content).hexdigest()
    folder = f"processed/{file_hash}"
    new = NewDocument(
        file_hash=file_hash,
        file_name="a photo.jpg",
        media_type=media_type or page.media_type,
        size_bytes=len(page.content),
        s3_raw_path="raw/a photo.jpg",
        s3_processed_path=f"{folder}/original",
        matter=None,
        lane=Lane.BULK,
        pages=[None],
    )
    async with database.connect() as db:
        document_id, _ = await insert_document(db, new)
    client = storage.client()
    client.put_object(Bucket=storage.bucket, Key=new.s3_processed_path, Body=page.content)
    words = PageText(
        text="", words=page.words, width_pixels=1, height_pixels=1, engine="double", seconds=0
    )
    client.put_object(
        Bucket=storage.bucket,
        Key=f"{folder}/pages/00001.json.gz",
        Body=gzip.compress(words.model_dump_json().encode()),
        ContentEncoding="gzip",
    )
    return Source(document_id, new.media_type, new.s3_processed_path)


def read_now(dsn: str, document_id: UUID, folder: str) -> None:
    """What is stored when an engine reports the page."""
    with psycopg.connect(dsn) as owner:
        owner.execute(
            """
            update aseagi.pages set state = 'done', source = 'ocr', text = '', settled_at = now(),
                words_path = %s where document_id = %s
            """,
            (f"{folder}/pages/00001.json.gz", document_id),
        )


async def test_a_searchable_pdf_is_made_once_and_anew_when_its_page_was_read_anew(
    database: Database, storage: ObjectStorage, dsn: str, tmp_path: Path
) -> None:
    source = await taken_in(database, storage, PAGE)
    client, key = storage.client(), searchable_key(source.original_path)

    def version() -> str:
        return client.head_object(Bucket=storage.bucket, Key=key)["Metadata"]["version"]

    async with Workshop() as workshop:
        unread = await make_searchable(database, storage, workshop, source)
        assert note_on(unread) == (
            "PDF/A-2b, text laid behind 0 of 1 pages; 1 of 1 pages could not be read, or not yet."
        )
        before = version()
        read_now(dsn, source.document_id, source.original_path.removesuffix("/original"))
        made = await make_searchable(database, storage, workshop, source)
        assert note_on(made) == "PDF/A-2b, text laid behind 1 of 1 pages."
        assert version() != before
    client.download_file(storage.bucket, key, str(tmp_path / "made.pdf"))
    text = pdfium.PdfDocument(tmp_path / "made.pdf")[0].get_textpage().get_text_bounded()
    assert "SUPERIOR COURT" in text

    # Made before: the original is not even fetched, and no workshop is needed.
    client.delete_object(Bucket=storage.bucket, Key=source.original_path)
    again = await make_searchable(database, storage, Workshop(), source)
    assert again == made


async def test_a_document_without_pages_to_show_or_without_pages_at_all_says_so(
    database: Database, storage: ObjectStorage
) -> None:
    text = await taken_in(database, storage, PAGE, media_type="text/plain")
    with pytest.raises(BadInput, match="text without pages"):
        await make_searchable(database, storage, Workshop(), text)
    gone = Source(UUID(int=0), "application/pdf", text.original_path)
    with pytest.raises(BadInput, match="could not be opened"):
        await make_searchable(database, storage, Workshop(), gone)


def test_an_original_that_nobody_has_read_is_not_called_good() -> None:
    handed_on = Result(unchanged=True, pages=3, layered=0, pdfa=None)
    assert note_on(Searchable("k", handed_on, unread=2)) == (
        "PDF, the original unchanged: 2 of 3 pages could not be read, or not yet."
    )
    assert note_on(Searchable("k", handed_on)).endswith("its own text is good.")


async def test_a_document_deleted_while_its_pdf_is_made_leaves_none(
    database: Database, storage: ObjectStorage, app_dsn: str
) -> None:
    source = await taken_in(database, storage, PAGE)
    key = searchable_key(source.original_path)
    storage.client().delete_object(Bucket=storage.bucket, Key=key)  # of another test

    class Deleting(Workshop):
        async def make(self, folder: Path, job: Job) -> Result:
            result = await super().make(folder, job)
            async with connect(app_dsn) as db:
                await delete_document(db, source.document_id)
            return result

    async with Deleting() as workshop:
        with pytest.raises(BadInput, match="deleted"):
            await make_searchable(database, storage, workshop, source)
    listing = storage.client().list_objects_v2(Bucket=storage.bucket, Prefix=key)
    assert listing["KeyCount"] == 0
