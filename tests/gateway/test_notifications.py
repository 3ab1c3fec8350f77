"""What stores say of new objects: every shape is understood, and nothing else is believed."""

import base64
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gateway.notifications import Notification
from sql.arrivals import SeenObject
from tests.gateway.conftest import BUCKET, STORE_TOKEN, Door, bearer

NOTIFICATION: TypeAdapter[Notification] = TypeAdapter(Notification)

KEY = "raw/Smith v. Jones/exhibit é+1 100%.pdf"
ETAG = "9b2cf535f27731c974343645a3985328"
SEEN = [SeenObject(KEY, ETAG, 5)]


def seaweedfs(key: str = KEY, *, kind: str = "create", bucket: str = BUCKET) -> dict[str, Any]:
    entry = {
        "attributes": {"file_size": 5},
        "extended": {"Seaweed-X-Amz-ETag": base64.b64encode(ETAG.encode()).decode()},
    }
    return {
        "event_type": kind,
        "key": f"/buckets/{bucket}/{key}",
        "message": {"new_entry": entry},
    }


def record(
    key: str = KEY, *, kind: str = "ObjectCreated:Put", bucket: str = BUCKET
) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": kind,
        "s3": {
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": quote_plus(key, safe="/"), "size": 5, "eTag": ETAG},
        },
    }


def aws(key: str = KEY, *, kind: str = "ObjectCreated:Put", bucket: str = BUCKET) -> dict[str, Any]:
    return {"Records": [record(key, kind=kind, bucket=bucket)]}


def minio(
    key: str = KEY, *, kind: str = "ObjectCreated:Put", bucket: str = BUCKET
) -> dict[str, Any]:
    told = record(key, kind=f"s3:{kind}", bucket=bucket)
    told["s3"]["object"]["key"] = quote_plus(key)  # the slashes too
    return {"EventName": f"s3:{kind}", "Key": f"{bucket}/{key}", "Records": [told]}


def eventbridge(
    key: str = KEY, *, kind: str = "Object Created", bucket: str = BUCKET
) -> dict[str, Any]:
    return {
        "version": "0",
        "detail-type": kind,
        "source": "aws.s3",
        "detail": {
            "bucket": {"name": bucket},
            "object": {"key": key, "size": 5, "etag": ETAG},
            "reason": "PutObject",
        },
    }


SHAPES = pytest.mark.parametrize("told_by", [seaweedfs, aws, minio, eventbridge])
REMOVED = {seaweedfs: "delete", eventbridge: "Object Deleted"}


def seen(told: object) -> list[SeenObject]:
    """What the notification says, as the route gets it."""
    return NOTIFICATION.validate_python(told).new_objects(BUCKET)


@SHAPES
def test_every_store_tells_of_the_same_object_in_its_own_words(told_by: Any) -> None:
    assert seen(told_by()) == SEEN


@SHAPES
def test_uploads_are_an_inbox_too(told_by: Any) -> None:
    assert seen(told_by("uploads/ab/file.pdf")) == [SeenObject("uploads/ab/file.pdf", ETAG, 5)]


@SHAPES
def test_what_is_no_new_object_of_an_inbox_is_ignored(told_by: Any) -> None:
    for ignored in (
        told_by(kind=REMOVED.get(told_by, "ObjectRemoved:Delete")),
        told_by(bucket="another"),
        told_by(bucket=f"{BUCKET}-2"),
        told_by("processed/abc/original"),
        told_by("rawest/x.pdf"),
        told_by("../raw/x.pdf"),
        told_by("raw/folder/"),
        told_by("raw/nul\0.pdf"),
    ):
        assert seen(ignored) == [], ignored


def test_one_notification_tells_of_several_objects() -> None:
    several = [record(f"raw/{number}.pdf") for number in range(3)]
    keys = [one.key for one in seen({"Records": [*several, record(kind="ObjectRemoved:Delete")]})]
    assert keys == ["raw/0.pdf", "raw/1.pdf", "raw/2.pdf"]


def test_the_test_event_of_aws_says_nothing() -> None:
    assert seen({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}) == []


def test_a_key_that_is_no_text_is_ignored_beside_one_that_is() -> None:
    broken = record()
    broken["s3"]["object"]["key"] = "raw/%ff.pdf"
    assert seen({"Records": [broken, record()]}) == SEEN


def test_an_unknown_shape_is_refused_by_the_names_of_those_known() -> None:
    subscription = {"Type": "SubscriptionConfirmation", "SubscribeURL": "http://127.0.0.1/"}
    others: list[object] = [{}, [], "x", None, {"Event": "s3:Other"}]
    for unknown in (subscription, *others):
        with pytest.raises(ValidationError):
            seen(unknown)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
"""Any JSON that Python can make of a body: NaN and half characters too."""

WORDS = ("Records", "event_type", "key", "message", "new_entry", "extended", "attributes", "s3",
         "detail-type", "detail", "bucket", "object", "name", "size", "eTag", "etag", "eventName",
         "Event", "file_size", "Seaweed-X-Amz-ETag")  # fmt: skip

nearly = st.recursive(
    json_values | st.sampled_from([KEY, BUCKET, "create", "Object Created", "ObjectCreated:Put"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=20,
)
"""JSON in the words of the stores."""


@given(json_values | nearly)
@settings(max_examples=300)
def test_any_json_is_understood_or_refused(told: object) -> None:
    try:
        found = seen(told)
    except ValidationError:
        return
    assert all(one.key.startswith(("raw/", "uploads/")) and one.etag for one in found)


@given(st.sampled_from([seaweedfs, aws, minio, eventbridge]), st.data())
@settings(max_examples=200)
def test_any_key_survives_its_store(told_by: Any, data: st.DataObject) -> None:
    name = data.draw(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
    key = f"raw/{name}x"
    assert seen(told_by(key)) == [SeenObject(key, ETAG, 5)]


async def test_an_object_is_noticed_once_whoever_tells_of_it(door: Door) -> None:
    for told, new in (
        (aws(), 1),
        (minio(), 0),
        (eventbridge(), 0),
        (seaweedfs(), 0),
        ({"Records": [record("raw/a.pdf"), record("raw/a.pdf"), record("raw/b.pdf")]}, 2),
        ({"Event": "s3:TestEvent"}, 0),
        (aws(kind="ObjectRemoved:Delete"), 0),
    ):
        answer = await door.tell(told)
        assert (answer.status_code, answer.json()) == (200, {"noticed": new}), told
    rows = await door.site.rows("select key, etag, size_bytes from aseagi.arrivals")
    assert sorted(rows) == sorted((key, ETAG, 5) for key in (KEY, "raw/a.pdf", "raw/b.pdf"))


async def test_without_the_stores_token_nothing_is_noticed(door: Door) -> None:
    before = await door.site.picture()
    basic, nothing_after = {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}
    for told in ({}, bearer("wrong"), basic, nothing_after):
        answer = await door.http.post("/events/s3", json=aws(), headers=told)
        assert answer.status_code == 401
        assert "token" in answer.json()["detail"]
    assert await door.site.picture() == before


async def test_any_json_is_answered_without_a_failure(door: Door) -> None:
    bodies: list[object] = []

    @given(json_values | nearly)
    @settings(max_examples=60, derandomize=True,
              suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
    def collect(told: object) -> None:
        bodies.append(told)

    collect()
    for told in bodies:
        body = json.dumps(told).encode()
        headers = bearer(STORE_TOKEN) | {"Content-Type": "application/json"}
        answer = await door.http.post("/events/s3", content=body, headers=headers)
        assert answer.status_code < 500, (told, answer.text)
