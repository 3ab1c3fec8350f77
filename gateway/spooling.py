"""A request's body as a file on disk, while its digests are taken.

Guarantees: at most `CHUNK_BYTES` of a body are in memory; a body that is no file we can
read is refused at its first kilobyte; nothing is left on disk when the block ends, and
what a killed gateway left is removed when the next one starts.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from fastapi import HTTPException

from blocks.bucket import Bucket
from blocks.inbox import Content, Origin, Put, put_in_inbox
from schema.failures import BadInput, Misconfigured
from schema.files import HEAD_BYTES, MAX_BYTES, media_type_of

CHUNK_BYTES = 256 * 1024
FREE_BYTES = 512 * 1024**2
"""What an upload must leave free on the disk."""

NO_ROOM = "There is no room for it now; try again later."
OWN_FOLDER = "aseagi-spool"
"""In the folder that is named: all that lies there is removed at the start."""


class Spool:
    """A folder for bodies on their way to the bucket, and the threads that put them there.

    The threads are its own: what hosts report, while somebody pays for them, never waits
    behind files.
    """

    def __init__(self, folder: Path, held: int, *, storing: int) -> None:
        self._folder = folder
        self._held = held
        self._threads = ThreadPoolExecutor(storing, thread_name_prefix="storing")
        self._promised = 0
        """Bytes that bodies on their way may still need."""

    @asynccontextmanager
    async def file(
        self, body: AsyncIterable[bytes], *, declared_bytes: int
    ) -> AsyncGenerator[tuple[Path, Content]]:
        """The whole body in a file, and what it is; the file is gone after the block.

        Raises HTTPException: 413 for a body over `MAX_BYTES`, 415 for one of no readable
        type, 507 when the disk is full.
        """
        with (
            self._room_for(declared_bytes or MAX_BYTES),
            NamedTemporaryFile(dir=self._folder) as file,
        ):
            digesting = _Digesting()
            async for chunk in _chunks(body):
                digesting.check(len(chunk), chunk)
                try:
                    # A descriptor of its own: should this be cancelled, the thread writes on.
                    own = os.dup(file.file.fileno())
                    await asyncio.to_thread(_write, own, chunk, digesting)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    raise HTTPException(507, NO_ROOM) from error
            yield Path(file.name), digesting.content()

    async def put(
        self, bucket: Bucket, path: Path, key: str, content: Content, origin: Origin
    ) -> Put:
        """Put a file into the bucket (`put_in_inbox`), as soon as a thread is free."""
        put = partial(put_in_inbox, bucket, path, key, content, origin)
        return await asyncio.get_running_loop().run_in_executor(self._threads, put)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        os.close(self._held)

    @contextmanager
    def folder(self) -> Generator[Path]:
        """A folder for files that are fetched; it is gone after the block."""
        with TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    @contextmanager
    def _room_for(self, size_bytes: int) -> Generator[None]:
        """Promise the body its place on the disk; what others were promised is not free."""
        free = shutil.disk_usage(self._folder).free - FREE_BYTES - self._promised
        if free < size_bytes:
            raise HTTPException(507, NO_ROOM)
        self._promised += size_bytes
        try:
            yield
        finally:
            self._promised -= size_bytes


class _Digesting:
    """What is known of a body so far."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._media_type: str | None = None

    def check(self, more: int, chunk: bytes) -> None:
        if self._media_type is None:
            try:
                self._media_type = media_type_of(chunk[:HEAD_BYTES])
            except BadInput as error:
                raise HTTPException(415, str(error)) from error
        self._size += more
        if self._size > MAX_BYTES:
            raise HTTPException(413, f"A file may have {MAX_BYTES} bytes.")

    def update(self, chunk: bytes) -> None:
        self._md5.update(chunk)
        self._sha256.update(chunk)

    def content(self) -> Content:
        if self._media_type is None:
            raise HTTPException(415, "The file is empty.")
        return Content(
            self._media_type, self._size, self._md5.hexdigest(), self._sha256.hexdigest()
        )


async def _chunks(body: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The body in pieces worth a thread's while."""
    waiting = bytearray()
    async for piece in body:
        waiting += piece
        if len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _write(descriptor: int, chunk: bytes, digesting: _Digesting) -> None:
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        left = memoryview(chunk)
        while left:
            left = left[file.write(left) :]
    digesting.update(chunk)


def open_spool(folder: Path, *, storing: int) -> Spool:
    """An empty spool, in a folder of its own in `folder`.

    Raises `Misconfigured` if that folder is somebody else's, or another gateway's.
    """
    folder /= OWN_FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owners = {folder.stat().st_uid, folder.parent.stat().st_uid}
    if folder.is_symlink() or not owners <= {os.getuid(), 0}:
        raise Misconfigured(f"{folder} belongs to somebody else; name another with --spool.")
    folder.chmod(0o700)
    held = _hold(folder)
    for left in folder.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
    return Spool(folder, held, storing=storing)


def _hold(folder: Path) -> int:
    """Lock the folder while this process lives: another gateway would remove what lies there."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise Misconfigured(
            f"Another gateway spools in {folder}; name another folder with --spool."
        ) from None
    return held
