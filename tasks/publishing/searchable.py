"""The searchable PDF of a stored document: made once, and anew when its pages were read anew.

It lies beside the original, at `processed/<sha256>/searchable.pdf`, under one key: what it was
made from stands in the object's metadata as `version`. Whoever wants one looks there first.

    nothing there, or of another version ─ make ─► an object of this version

Nothing else is state. A process that dies before the upload ends has changed nothing, and an
upload replaces the object whole. Two that make the same one write the same. While it is uploaded
the document's row is held, so that a deletion comes before, and nothing is put, or after, and takes
it away.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError

from blocks.database import Database
from blocks.object_storage import ObjectStorage
from schema.failures import BadInput, RetryLater
from schema.files import PDF, WITHOUT_PICTURES
from sql.publishing import PageSource, hold_document, list_page_sources
from tasks.publishing.workshop import Job, Result, Workshop, words_file

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RECIPE = 1
"""Raise it when the way they are made changes: all are made anew, each when it is wanted."""

MANY_READERS = 8
"""Word boxes fetched at once."""

ENGINE = "ocr"
"""The source of a page that an engine read."""


@dataclass(frozen=True, slots=True)
class Searchable:
    """A searchable PDF, and what may be said of it."""

    key: str
    """Where it lies in the bucket."""
    result: Result
    unread: int = 0
    """Pages that nobody has read: they wait, or could not be."""


@dataclass(frozen=True, slots=True)
class Source:
    """What of a document is needed to make one."""

    document_id: UUID
    media_type: str
    original_path: str
    """Where the immutable original lies."""


def searchable_key(original_path: str) -> str:
    """Where the searchable PDF of that original lies."""
    return f"{original_path.removesuffix('/original')}/searchable.pdf"


async def make_searchable(
    database: Database, storage: ObjectStorage, workshop: Workshop, source: Source
) -> Searchable:
    """Find or make the searchable PDF of a document.

    Raises `BadInput` where there can be none, with the reason; `RetryLater` when the bucket is
    away.
    """
    if source.media_type in WITHOUT_PICTURES:
        raise BadInput("It is text without pages of its own; there is nothing to lay words on.")
    pages = await _pages(database, source)
    if not pages:
        raise BadInput("It could not be opened, so there is nothing to lay words on.")
    key, version = searchable_key(source.original_path), version_of(pages)
    unread = sum(page.source is None for page in pages)
    try:
        if (found := await asyncio.to_thread(_find, storage, key, version)) is not None:
            return Searchable(key, found, unread)
        with tempfile.TemporaryDirectory(prefix="aseagi-searchable-") as name:
            folder = Path(name)
            await asyncio.to_thread(_fetch, storage, source.original_path, pages, folder)
            read = [page.number for page in pages if page.source == ENGINE]
            result = await workshop.make(folder, Job(media_type=source.media_type, read_pages=read))
            # A deletion waits until it lies there, and removes it: nothing comes after that.
            async with database.connect() as db:
                if not await hold_document(db, source.document_id):
                    raise BadInput("It was deleted while its searchable PDF was made.")
                await asyncio.to_thread(_store, storage, key, version, result, folder)
    except (BotoCoreError, ClientError) as error:
        raise RetryLater(f"The bucket does not answer ({type(error).__name__}).") from error
    return Searchable(key, result, unread)


def note_on(made: Searchable) -> str:
    """One line on what a searchable PDF is."""
    result = made.result
    kind = f"PDF/A-{result.pdfa}" if result.pdfa else "PDF"
    unread = f"{made.unread} of {result.pages} pages could not be read, or not yet."
    if result.unchanged:
        why = unread if made.unread else "its own text is good."
        return f"{kind}, the original unchanged: {why}"
    laid = f"{kind}, text laid behind {result.layered} of {result.pages} pages"
    return f"{laid}; {unread}" if made.unread else f"{laid}."


async def _pages(database: Database, source: Source) -> list[PageSource]:
    async with database.connect() as db:
        return await list_page_sources(db, source.document_id)


def version_of(pages: Sequence[PageSource]) -> str:
    """A name for what would be made: another one when a page was read anew."""
    said = hashlib.sha256(f"recipe {RECIPE}".encode())
    for page in pages:
        said.update(f"\n{page.number} {page.source} {page.words_path} {page.settled_at}".encode())
    return said.hexdigest()


def _find(storage: ObjectStorage, key: str, version: str) -> Result | None:
    try:
        found = storage.client().head_object(Bucket=storage.bucket, Key=key)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
            return None
        raise
    return (
        _from_metadata(found["Metadata"]) if found["Metadata"].get("version") == version else None
    )


def _from_metadata(said: Mapping[str, str]) -> Result:
    return Result(
        unchanged=said.get("unchanged") == "yes",
        pages=int(said.get("pages", 0)),
        layered=int(said.get("layered", 0)),
        pdfa=said.get("pdfa") or None,
    )


def _fetch(
    storage: ObjectStorage, original: str, pages: Sequence[PageSource], folder: Path
) -> None:
    client = storage.client()
    client.download_file(storage.bucket, original, str(folder / "original"))
    (folder / "words").mkdir()

    def fetch_words(page: PageSource) -> None:
        _fetch_words(client, storage.bucket, page, folder)

    with ThreadPoolExecutor(MANY_READERS) as pool:
        list(pool.map(fetch_words, pages))


def _fetch_words(client: "S3Client", bucket: str, page: PageSource, folder: Path) -> None:
    if page.source != ENGINE or page.words_path is None:
        return
    try:
        body = client.get_object(Bucket=bucket, Key=page.words_path)["Body"]
    except client.exceptions.NoSuchKey:
        return  # the page has no layer, and the table says so
    with body, words_file(folder, page.number).open("wb") as file:
        for chunk in body.iter_chunks(1 << 16):
            file.write(chunk)


def _store(storage: ObjectStorage, key: str, version: str, result: Result, folder: Path) -> None:
    storage.client().upload_file(
        str(folder / "searchable.pdf"),
        storage.bucket,
        key,
        ExtraArgs={
            "ContentType": PDF,
            "Metadata": {
                "version": version,
                "unchanged": "yes" if result.unchanged else "no",
                "pages": str(result.pages),
                "layered": str(result.layered),
                "pdfa": result.pdfa or "",
            },
        },
    )
