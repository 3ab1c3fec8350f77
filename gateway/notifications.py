"""What object stores say of new objects, in the four shapes that they say it in.

    SeaweedFS     `{"event_type": "create", "key": "/buckets/BUCKET/KEY", "message": …}`
    AWS, MinIO    `{"Records": [{"eventName": "ObjectCreated:Put", "s3": …}]}`, keys URL-encoded
    EventBridge   `{"detail-type": "Object Created", "detail": …}`, keys as they are
    AWS, once     `{"Event": "s3:TestEvent", …}` when notifications are switched on

Whatever is not a new object in an inbox of the own bucket (a deletion, another bucket,
another prefix, a folder) is no error: stores tell of more than they are asked to.
"""

import base64
import binascii
from typing import Annotated, Literal
from urllib.parse import unquote_plus

from pydantic import BaseModel, Discriminator, Field, Tag

from blocks.bucket import INBOXES
from sql.arrivals import SeenObject

MAX_RECORDS = 1_000

Name = Annotated[str, Field(max_length=200)]
Key = Annotated[str, Field(max_length=4096)]
ETag = Annotated[str, Field(max_length=200)]
Size = Annotated[int, Field(ge=0, lt=2**63)]


class FilerAttributes(BaseModel):
    """What SeaweedFS's filer knows of a file; empty files leave the size out."""

    file_size: Size = 0


class FilerEntry(BaseModel):
    """A file or folder of the filer; only files put through S3 have an S3 ETag."""

    attributes: FilerAttributes = FilerAttributes()
    extended: dict[str, str] = {}

    @property
    def etag(self) -> str:
        """The S3 ETag; empty for a folder."""
        try:
            return base64.b64decode(self.extended["Seaweed-X-Amz-ETag"], validate=True).decode()
        except (KeyError, binascii.Error, ValueError):
            return ""


class FilerMessage(BaseModel):
    """The part of a filer's event that says what is there now."""

    new_entry: FilerEntry = FilerEntry()


class FilerEvent(BaseModel):
    """What SeaweedFS's filer posts; the fields not named here are not needed."""

    event_type: Name
    key: Key = Field(description="/buckets/BUCKET/KEY, not URL-encoded.")
    message: FilerMessage = FilerMessage()

    def new_objects(self, bucket: str) -> list[SeenObject]:
        """The object it tells of, if it is new in an inbox of `bucket`."""
        place, entry = f"/buckets/{bucket}/", self.message.new_entry
        if self.event_type not in {"create", "update"} or not self.key.startswith(place):
            return []
        return _arrived(self.key.removeprefix(place), entry.etag, entry.attributes.file_size)


class S3Bucket(BaseModel):
    """The bucket that something happened in."""

    name: Name


class S3Object(BaseModel):
    """The object that something happened to; one that was deleted has no size and no ETag."""

    key: Key = Field(description="URL-encoded, with a plus for a space.")
    size: Size = 0
    etag: ETag = Field(default="", alias="eTag")


class S3Entity(BaseModel):
    """Where it happened, and to what."""

    bucket: S3Bucket
    object: S3Object


class S3Record(BaseModel):
    """One event of a bucket. MinIO begins the name with `s3:`, AWS does not."""

    event_name: Name = Field(alias="eventName")
    s3: S3Entity

    def new_objects(self, bucket: str) -> list[SeenObject]:
        """The object it tells of, if it is new in an inbox of `bucket`."""
        created = self.event_name.removeprefix("s3:").startswith("ObjectCreated:")
        if not created or self.s3.bucket.name != bucket:
            return []
        try:
            key = unquote_plus(self.s3.object.key, errors="strict")
        except UnicodeDecodeError:  # no key of S3, which are UTF-8
            return []
        return _arrived(key, self.s3.object.etag, self.s3.object.size)


class S3Records(BaseModel):
    """What AWS and MinIO post: the events since the last time."""

    records: list[S3Record] = Field(alias="Records", max_length=MAX_RECORDS)

    def new_objects(self, bucket: str) -> list[SeenObject]:
        """The objects it tells of that are new in an inbox of `bucket`."""
        return [seen for record in self.records for seen in record.new_objects(bucket)]


class BridgedObject(BaseModel):
    """The object of an EventBridge event."""

    key: Key = Field(description="As it is, not URL-encoded.")
    size: Size = 0
    etag: ETag = ""


class BridgedDetail(BaseModel):
    """Where it happened, and to what."""

    bucket: S3Bucket
    object: BridgedObject


class BridgedEvent(BaseModel):
    """What AWS sends through EventBridge: one event."""

    detail_type: Name = Field(alias="detail-type")
    detail: BridgedDetail

    def new_objects(self, bucket: str) -> list[SeenObject]:
        """The object it tells of, if it is new in an inbox of `bucket`."""
        if self.detail_type != "Object Created" or self.detail.bucket.name != bucket:
            return []
        found = self.detail.object
        return _arrived(found.key, found.etag, found.size)


class TestEvent(BaseModel):
    """What AWS sends once, to see whether anybody listens."""

    event: Literal["s3:TestEvent"] = Field(alias="Event")

    def new_objects(self, _bucket: str) -> list[SeenObject]:
        """None: nothing has happened."""
        return []


_MARKS = {
    "event_type": "seaweedfs",
    "Records": "records",
    "detail-type": "eventbridge",
    "Event": "test",
}


def _shape(told: object) -> str | None:
    """Which of the four it is, by the field that only that one has."""
    if not isinstance(told, dict):
        return None
    return next((shape for mark, shape in _MARKS.items() if mark in told), None)


Notification = Annotated[
    Annotated[FilerEvent, Tag("seaweedfs")]
    | Annotated[S3Records, Tag("records")]
    | Annotated[BridgedEvent, Tag("eventbridge")]
    | Annotated[TestEvent, Tag("test")],
    Discriminator(
        _shape,
        custom_error_type="unknown_notification",
        custom_error_message="Not a notification of SeaweedFS, AWS S3, MinIO or EventBridge.",
    ),
]
"""A notification of any store."""


def _arrived(key: str, etag: str, size_bytes: int) -> list[SeenObject]:
    """The object, if its key lies in an inbox: not a folder, and text that Postgres can hold."""
    etag = etag.strip('"')
    is_file = bool(etag) and not key.endswith("/")
    if not is_file or not key.startswith(INBOXES) or "\0" in key + etag:
        return []
    return [SeenObject(key, etag, size_bytes)]
