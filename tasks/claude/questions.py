"""A question, ready to send: its pages fetched and drawn, with the most it can cost."""

import asyncio
import gzip
import json
import tempfile
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from blocks.claude import Claude
from blocks.object_storage import ObjectStorage
from schema.claude import Step
from schema.failures import RetryLater
from schema.files import WITHOUT_PICTURES
from schema.ocr import PageText
from sql.jobs import AnalysisJob
from tasks.claude.merging import Part
from tasks.claude.pictures import pictures_of
from tasks.claude.pricing import most
from tasks.claude.prompt import (
    FIXED_BYTES,
    About,
    Page,
    pages_question,
    plan_of,
    whole_question,
)
from tasks.claude.steps import Ask

MOST_BYTES = 28_000_000
"""Of a question; the API takes 32 MB. Rather its pages are asked about in two halves."""

OVERHEAD_BYTES = 4_000
"""What the API adds to a question by itself, for the form of the answer; not published."""


BLANK = "(nothing is on this page)"


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one step of a document's analysis."""

    step: Step
    params: MessageCreateParamsNonStreaming
    pictures: int
    text_bytes: int
    size_bytes: int

    @property
    def is_too_large(self) -> bool:
        """Whether the API would not take it."""
        return self.size_bytes > MOST_BYTES

    def most_dollars(self, block: Claude, *, in_batch: bool) -> Decimal:
        """What its answer can cost at most."""
        return most(
            text_bytes=self.text_bytes + FIXED_BYTES + OVERHEAD_BYTES,
            pictures=self.pictures,
            answer_tokens=block.answer_tokens,
            terms=block.terms,
            in_batch=in_batch,
        )


class Questions:
    """The questions about one document. Make it with `open_questions`."""

    def __init__(
        self, job: AnalysisJob, block: Claude, storage: ObjectStorage, folder: Path
    ) -> None:
        self._job = job
        self._block = block
        self._storage = storage
        self._original = folder / "original"
        self._fetching = asyncio.Lock()
        self.about = About(job.file_name, job.file_hash, len(job.pages))
        self.plan = plan_of(self.about, job.pages, block)

    async def make(self, ask: Ask, parts: Sequence[Part] = ()) -> Question:
        """Make the question that is to be asked. Raises `RetryLater` when the bucket is away."""
        if ask.step.kind == "whole":
            params = whole_question(self.about, parts, self._block, wrong=ask.wrong)
            return _question(ask.step, params, pictures=0)
        pages = [
            await self._page(number)
            for number in range(ask.step.first_page, ask.step.last_page + 1)
        ]
        params = pages_question(self.about, ask.step, pages, self._block, wrong=ask.wrong)
        return _question(ask.step, params, pictures=sum(len(page.pictures) for page in pages))

    async def _page(self, number: int) -> Page:
        text = self._job.pages[number - 1]
        wanted = self._block.pictures
        if wanted == "none" or (wanted == "scans" and not self._job.scanned[number - 1]):
            return Page(number, text)
        if self._job.blank and self._job.blank[number - 1]:
            return Page(number, BLANK)
        if self._job.media_type in WITHOUT_PICTURES:
            return Page(number, text)
        words = await self._words(number)
        await self._fetch()
        pictures = await asyncio.to_thread(
            pictures_of,
            self._original,
            self._job.media_type,
            number,
            self._block.terms,
            words,
        )
        return Page(number, text, pictures)

    async def _words(self, number: int) -> PageText | None:
        path = self._job.words_paths[number - 1]
        if path is None:
            return None
        body = await _from_bucket(lambda: self._get(path))
        try:
            return PageText.model_validate_json(
                gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
            )
        except (ValidationError, OSError, EOFError, zlib.error):
            return None  # how large the print is and how it is turned stays unknown

    def _get(self, key: str) -> bytes:
        found = self._storage.client().get_object(Bucket=self._storage.bucket, Key=key)
        return found["Body"].read()

    async def _fetch(self) -> None:
        async with self._fetching:
            if not self._original.exists():
                unfinished = self._original.with_suffix(".unfinished")
                await _from_bucket(
                    lambda: self._storage.client().download_file(
                        self._storage.bucket, self._job.original_path, str(unfinished)
                    )
                )
                unfinished.rename(self._original)


@asynccontextmanager
async def open_questions(
    job: AnalysisJob, block: Claude, storage: ObjectStorage
) -> AsyncGenerator[Questions]:
    """The questions about one document; its file is fetched if it must be drawn, then deleted."""
    with tempfile.TemporaryDirectory(prefix="aseagi-analysis-") as folder:
        yield Questions(job, block, storage, Path(folder))


async def _from_bucket(read: Callable[[], Any]) -> Any:
    try:
        return await asyncio.to_thread(read)
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise RetryLater(
            f"The bucket does not give a document's file ({type(error).__name__})."
        ) from error


def _question(step: Step, params: MessageCreateParamsNonStreaming, *, pictures: int) -> Question:
    blocks = cast("Sequence[Mapping[str, Any]]", next(iter(params["messages"]))["content"])
    texts = sum(len(block["text"].encode()) for block in blocks if block["type"] == "text")
    shown = sum(len(block["source"]["data"]) for block in blocks if block["type"] == "image")
    # As JSON a text may grow: quotes, line ends and what is not ASCII are escaped.
    size = shown + len(json.dumps([b for b in blocks if b["type"] == "text"])) + FIXED_BYTES
    return Question(step, params, pictures, text_bytes=texts, size_bytes=size)
