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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image
from pydantic import SecretStr

from bench.throughput import letter
from blocks.database import Database
from blocks.object_storage import ObjectStorage, make_credentials
from sql.arrivals import begin_arrivals, count_waiting_arrivals
from stack.object_store import PORT_NAMES, ObjectStore, prepare_bucket, spawn_object_store
from stack.servers import reserve_ports
from tasks import watch
from tasks.inspector import open_inspector
from tasks.intake import Taken, take_in
from tests.sql.house import House

BUCKET = "aseagi"
SEEDS = (1, 2)
ROUNDS = 7
FILES = 12
SYNC_SECONDS = 120
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


def rclone(store: ObjectStore, folder: Path, matter: str) -> None:
    """As docs/rclone.md has people set it up, but by the environment."""
    program = shutil.which("rclone")
    assert program, "rclone is not installed: apt-get install rclone"
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
            *(program, "sync", str(folder), f"cases:{BUCKET}/raw/{matter}"),
            *("--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi"),
        ],
        env=settings,
        capture_output=True,
        text=True,
        timeout=SYNC_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An object store that tells nobody: the watch finds what is new."""
    folder = tmp_path_factory.mktemp("s3")
    running = spawn_object_store(folder / "s3", reserve_ports(folder, PORT_NAMES), bucket=BUCKET)
    try:
        running.child.wait_ready(60)
        prepare_bucket(running.client(), BUCKET)
        yield running
    finally:
        running.stop()


@pytest.fixture
def storage(store: ObjectStore) -> ObjectStorage:
    credentials = make_credentials(
        endpoint_url=store.endpoint_url,
        region="us-east-1",
        access_key=store.access_key,
        secret_key=SecretStr(store.secret_key),
    )
    return ObjectStorage(credentials=credentials, bucket=BUCKET)


@dataclass
class Ingest:
    """Looks into the bucket and takes in what is new, again and again, as the house does."""

    house: House
    storage: ObjectStorage
    taken: list[Taken] = field(default_factory=list[Taken])

    async def go_on(self, until: asyncio.Event) -> None:
        """Until the event; then once more, until nothing waits."""
        address = SecretStr(self.house.app_dsn)
        database = Database(dsn=address, dashboard_dsn=address)
        async with database.pool(max_size=4) as pool, open_inspector() as inspector:
            while True:
                last = until.is_set()
                await watch.watch_bucket.fn(self.storage, database)
                while True:
                    async with pool.connection() as db:
                        batch = await begin_arrivals(db, limit=5)
                    if not batch:
                        break
                    self.taken += await take_in.fn(batch, len(batch), self.storage, pool, inspector)
                async with pool.connection() as db:
                    if last and not await count_waiting_arrivals(db):
                        return
                await asyncio.sleep(0)


async def arrivals(house: House, matter: str) -> list[tuple[str, str, str | None]]:
    """(name, state, hash of the document) of each."""
    rows = await house.rows(
        """
        select substr(arrival.key, length(%s) + 1), arrival.state, document.file_hash
        from aseagi.arrivals arrival
        left join aseagi.documents document on document.id = arrival.document_id
        where starts_with(arrival.key, %s)
        """,
        *[f"raw/{matter}/"] * 2,
    )
    return [(row[0], row[1], row[2]) for row in rows]


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_is_synced_while_ingest_runs_the_last_of_every_file_is_a_document(
    house: House,
    store: ObjectStore,
    storage: ObjectStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    def nobody_is_told(_key: str, *, size_bytes: int) -> None:
        return None

    monkeypatch.setattr(watch, "object_created", nobody_is_told)
    matter = f"Meier & Müller, 2024: {seed}"
    folder = Folder(tmp_path / "case", random.Random(seed))  # noqa: S311
    ingest, over = Ingest(house, storage), asyncio.Event()
    ingesting = asyncio.create_task(ingest.go_on(over))
    for number in range(FILES):
        folder.write(f"letters/Brief an {number} (endgültig).png", letter(50_000 + number))
    folder.write(LARGE, large(folder.dice))
    for _ in range(ROUNDS):
        await asyncio.to_thread(rclone, store, folder.path, matter)
        folder.work()
    await asyncio.to_thread(rclone, store, folder.path, matter)
    over.set()
    await ingesting

    last = {name: hashlib.sha256(body).hexdigest() for name, body in folder.files().items()}
    known = await arrivals(house, matter)
    taken = [(name, str(file_hash)) for name, state, file_hash in known if state == "ingested"]
    assert set(last.items()) <= set(taken), "the last version of every file is a document"
    assert {state for _, state, _ in known} <= {"ingested", "superseded"}, "nothing failed"
    assert not [one for one in ingest.taken if one.outcome == "failed"]
    hashes = {file_hash for _, file_hash in taken}
    assert hashes <= set(folder.contents), "nothing but what somebody wrote"
    assert hashes > set(last.values()), "older versions stay documents"
    assert len(taken) > len(hashes), "one content under two names is one document"
    documents = await house.rows(
        "select file_hash from aseagi.documents where file_hash = any(%s) order by 1", list(hashes)
    )
    assert [row[0] for row in documents] == sorted(hashes)
    client = storage.client()
    for file_hash in hashes:
        answer = client.get_object(Bucket=BUCKET, Key=f"processed/{file_hash}/original")
        assert answer["Body"].read() == folder.contents[file_hash]
