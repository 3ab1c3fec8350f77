"""`rclone sync` of a folder that people work in, while ingest runs: nothing is lost.

What is promised of every object version that arrived, that is, of every (key, ETag, size) that a
notification or a listing showed:

* it becomes a document, or it is `superseded`: overwritten or deleted before ingest came to it;
* the last version of every file that lies in `raw/` is a document;
* a version that was read stays a document, whatever becomes of its file later;
* no arrival fails, none is there twice, and one content is one document.

A version that came and went between two looks was never noticed, and is nobody's.
"""

import asyncio
import hashlib
import io
import os
import random
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from bench.throughput import letter
from blocks.object_storage import ObjectStorage
from sql.connection import Connection
from stack.embedded import BUCKET, Stack
from tests.e2e.conftest import eventually

ROUNDS = 7
FILES = 12
SEED = 7
SYNC_SECONDS = 60
SETTLE_SECONDS = 170
MATTER = "Meier ./. Müller"
LARGE = "exhibits/survey of the plot.png"
"""Larger than a part: rclone sends it in several, and its ETag is no MD5."""


@dataclass
class Folder:
    """A folder on somebody's laptop, and every content that ever lay there."""

    path: Path
    dice: random.Random
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def write(self, name: str, content: bytes) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.contents[hashlib.sha256(content).hexdigest()] = content

    def work(self) -> None:
        """What somebody does in it: new files, changed ones, copies, older versions, deletions."""
        for _ in range(6):
            name = f"letters/Brief an {self.dice.randrange(FILES)} (endgültig).png"
            match self.dice.choice(("new", "new", "old", "copy", "delete", "rename", "large")):
                case "new":
                    self.write(name, letter(50_000 + self.dice.randrange(10_000)))
                case "old":
                    self.write(name, self.dice.choice(list(self.contents.values())))
                case "copy" if files := self.files():
                    self.write(name, files[self.dice.choice(sorted(files))])
                case "delete" if (self.path / name).exists():
                    (self.path / name).unlink()
                case "rename" if (self.path / name).exists():
                    (self.path / name).rename(self.path / f"renamed {self.dice.random()}.png")
                case "large":
                    self.write(LARGE, large(self.dice))
                case _:
                    pass

    def files(self) -> dict[str, bytes]:
        """What lies there now."""
        found = (one for one in self.path.rglob("*") if one.is_file())
        return {str(one.relative_to(self.path)): one.read_bytes() for one in found}


def large(dice: random.Random) -> bytes:
    """A picture of more than 5 MiB."""
    out = io.BytesIO()
    noise = Image.frombytes("L", (2400, 2400), dice.randbytes(2400 * 2400))
    noise.save(out, "PNG", compress_level=0)
    return out.getvalue()


def rclone(stack: Stack, folder: Path) -> None:
    """As docs/rclone.md has people set it up, but by the environment."""
    program = shutil.which("rclone")
    assert program, "rclone is not installed: apt-get install rclone"
    store = stack.servers.object_store
    settings: Mapping[str, str] = {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_CASES_TYPE": "s3",
        "RCLONE_CONFIG_CASES_PROVIDER": "Other",
        "RCLONE_CONFIG_CASES_ENDPOINT": store.endpoint_url,
        "RCLONE_CONFIG_CASES_ACCESS_KEY_ID": store.access_key,
        "RCLONE_CONFIG_CASES_SECRET_ACCESS_KEY": store.secret_key,
        "RCLONE_CONFIG_CASES_NO_CHECK_BUCKET": "true",
        "PATH": os.defpath,
        "HOME": str(folder.parent),
    }
    done = subprocess.run(
        [
            *(program, "sync", str(folder), f"cases:{BUCKET}/raw/{MATTER}"),
            *("--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi"),
        ],
        env=settings,
        capture_output=True,
        text=True,
        timeout=SYNC_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


async def arrivals(db: Connection) -> list[tuple[str, str, str | None]]:
    """(key, state, hash of the document) of each."""
    cursor = await db.execute(
        """
        select substr(arrival.key, length(%s) + 1), arrival.state, document.file_hash
        from aseagi.arrivals arrival
        left join aseagi.documents document on document.id = arrival.document_id
        where starts_with(arrival.key, %s)
        """,
        [f"raw/{MATTER}/"] * 2,
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


@pytest.mark.timeout(500)
async def test_whatever_is_synced_while_ingest_runs_the_last_of_every_file_is_a_document(
    stack: Stack, empty: None, db: Connection, storage: ObjectStorage, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "case", random.Random(SEED))  # noqa: S311
    for number in range(FILES):
        folder.write(f"letters/Brief an {number} (endgültig).png", letter(50_000 + number))
    folder.write(LARGE, large(folder.dice))
    for _ in range(ROUNDS):
        await asyncio.to_thread(rclone, stack, folder.path)
        folder.work()
    await asyncio.to_thread(rclone, stack, folder.path)

    last = {name: hashlib.sha256(body).hexdigest() for name, body in folder.files().items()}
    assert len(last) >= FILES // 2

    async def is_all_there() -> bool:
        known = await arrivals(db)
        taken = {(name, file_hash) for name, state, file_hash in known if state == "ingested"}
        return set(last.items()) <= taken and not any(one[1] == "noticed" for one in known)

    await eventually(is_all_there, seconds=SETTLE_SECONDS)
    known = await arrivals(db)
    assert {state for _, state, _ in known} <= {"ingested", "superseded"}
    taken = [str(file_hash) for _, state, file_hash in known if state == "ingested"]
    assert set(taken) <= set(folder.contents), "nothing but what somebody wrote"
    assert len(set(taken)) > len(set(last.values())), "older versions stay documents"
    assert len(taken) > len(set(taken)), "one content under two names is one document"
    cursor = await db.execute(
        "select count(*), count(distinct file_hash) from aseagi.documents where matter = %s",
        (MATTER,),
    )
    counts = await cursor.fetchone()
    assert counts is not None
    assert counts[0] == counts[1] == len(set(taken))
    client = storage.client()
    for file_hash in set(taken):
        answer = client.get_object(Bucket=BUCKET, Key=f"processed/{file_hash}/original")
        assert answer["Body"].read() == folder.contents[file_hash]

    async def has_no_failure() -> bool:
        cursor = await db.execute(
            "select count(*) filter (where status = 'completed') = count(*)"
            " from aseagi.processing_jobs where file_path like %s",
            (f"raw/{MATTER}/%",),
        )
        row = await cursor.fetchone()
        return bool(row and row[0])

    await eventually(has_no_failure, seconds=SETTLE_SECONDS)
