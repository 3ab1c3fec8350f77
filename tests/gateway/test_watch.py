"""The watch finds what no notification told of: nothing missed, nothing taken twice."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from blocks.bucket import INBOXES
from tasks import watch
from tests.gateway.conftest import BUCKET, Door, Site
from tests.gateway.test_notifications import aws

MANY = 1_010
"""More than one listing answers with."""


def put(site: Site, keys: list[str], body: bytes = b"x") -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(site.put, keys, [body] * len(keys)))


def empty(site: Site) -> None:
    client = site.storage.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        keys = [one.get("Key", "") for one in page.get("Contents", [])]
        found = [key for key in keys if key.startswith(INBOXES)]
        if found:
            client.delete_objects(
                Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in found]}
            )


@pytest.fixture
async def inbox(at: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site, with empty inboxes."""

    def nobody_is_told(_key: str, *, size_bytes: int) -> None:
        return None

    await asyncio.to_thread(empty, at)
    monkeypatch.setattr(watch, "object_created", nobody_is_told)
    return at


async def look(site: Site) -> int:
    return await watch.watch_bucket.fn(site.storage, site.database)


async def keys(site: Site) -> list[str]:
    rows = await site.rows("select key from aseagi.arrivals")
    return sorted(row[0] for row in rows)


async def test_every_object_of_both_inboxes_is_found_once(inbox: Site) -> None:
    uploads = [f"uploads/{number:04}/a b+é.pdf" for number in range(3)]
    wanted = [f"raw/case/{number:05}.png" for number in range(MANY)] + uploads
    await asyncio.to_thread(put, inbox, [*wanted, "raw/folder/", "processed/x/original"])
    assert await look(inbox) == len(wanted)
    assert await look(inbox) == 0
    assert await keys(inbox) == sorted(wanted)
    await asyncio.to_thread(put, inbox, ["raw/aaa-first.pdf"])
    await asyncio.to_thread(put, inbox, [wanted[0]], b"another content")
    assert await look(inbox) == 2, "one new, one written over"


async def test_what_a_notification_told_of_is_not_found_again(inbox: Site, door: Door) -> None:
    key = "raw/Smith v. Jones/exhibit.pdf"
    await asyncio.to_thread(inbox.put, key, b"x")
    head = inbox.storage.client().head_object(Bucket=BUCKET, Key=key)
    told = aws(key)
    told["Records"][0]["s3"]["object"] |= {"size": 1, "eTag": head["ETag"].strip('"')}
    assert (await door.tell(told)).json() == {"noticed": 1}
    assert await look(inbox) == 0
