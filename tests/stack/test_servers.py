import base64
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from botocore.exceptions import ClientError

from schema.failures import Misconfigured
from stack.postgres import start_postgres
from stack.processes import Child, http_get, plain_environment, processes_of
from stack.servers import Servers, clear_leftovers, reserve_ports, start_servers
from tests.stack.conftest import WEBHOOK_TOKEN, Receiver, eventually

BUCKET = "aseagi"
OTHER_ETAG = '"00000000000000000000000000000000"'

# A program that starts the servers, keeps something in each, says so and is then killed.
PROGRAM = """
import sys, time
from pathlib import Path
import psycopg
from stack.servers import start_servers
servers = start_servers(Path(sys.argv[1]), lambda line: None)
with psycopg.connect(servers.postgres.dsn("postgres")) as db:
    db.execute("CREATE TABLE kept (what text)")
    db.execute("INSERT INTO kept VALUES ('a row')")
servers.object_store.client().put_object(Bucket="aseagi", Key="raw/kept", Body=b"bytes")
print(servers.prefect.api_url, flush=True)
time.sleep(120)
"""


def status_of(call: Callable[..., Any], **arguments: Any) -> int:
    """The HTTP status an S3 call is answered with."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 200


def flow_names(api_url: str) -> set[str]:
    flows = httpx.post(f"{api_url}/flows/filter", json={}, timeout=30).raise_for_status().json()
    return {flow["name"] for flow in flows}


def test_all_three_servers_answer(servers: Servers) -> None:
    with psycopg.connect(servers.postgres.dsn("prefect")) as db:
        assert db.execute("SELECT count(*) > 0 FROM alembic_version").fetchone() == (True,)
    names = [
        bucket.get("Name") for bucket in servers.object_store.client().list_buckets()["Buckets"]
    ]
    assert names == [BUCKET]
    settings = (
        httpx.get(f"{servers.prefect.ui_url}/ui-settings", timeout=60).raise_for_status().json()
    )
    assert settings["api_url"] == servers.prefect.api_url
    assert set(servers.ready_after_seconds) == {"Postgres", "S3", "Prefect"}


def test_nothing_listens_beyond_loopback(servers: Servers) -> None:
    listening = {
        connection.laddr.ip
        for child in servers.children
        for process in (psutil.Process(child.pid), *psutil.Process(child.pid).children())
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_web_page_from_elsewhere_cannot_use_the_prefect_api(servers: Servers) -> None:
    def allowed(origin: str) -> bool:
        answer = httpx.get(
            f"{servers.prefect.api_url}/health", headers={"Origin": origin}, timeout=60
        )
        return answer.headers.get("access-control-allow-origin") == origin

    assert allowed(servers.prefect.ui_url)
    assert not allowed("https://example.org")


def test_the_socket_of_postgres_fits_and_is_private(servers: Servers) -> None:
    assert len(str(servers.state_dir)) > 90
    sockets = servers.postgres.socket_directory
    assert len(str(sockets / ".s.PGSQL.5432")) <= 103
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700


def test_credentials_are_readable_by_their_owner_alone(servers: Servers) -> None:
    for name in ("credentials.json", "s3.json", "notification.toml"):
        assert stat.S_IMODE((servers.state_dir / "s3" / name).stat().st_mode) == 0o600


def test_the_extensions_our_schema_needs_are_there(servers: Servers) -> None:
    servers.postgres.create_database_if_missing("with extensions")
    assert not servers.postgres.create_database_if_missing("with extensions")
    with psycopg.connect(servers.postgres.dsn("with extensions")) as db:
        for extension in ("pg_trgm", "vector", "btree_gist"):
            db.execute(f"CREATE EXTENSION {extension}".encode())
        assert db.execute("SELECT lower('ÄÉ') = 'äé'").fetchone() == (True,)


def test_conditional_requests_hold(servers: Servers) -> None:
    s3 = servers.object_store.client()
    here: dict[str, Any] = {"Bucket": BUCKET, "Key": "conditions/original"}
    assert status_of(s3.put_object, **here, Body=b"1", IfNoneMatch="*") == 200
    assert status_of(s3.put_object, **here, Body=b"2", IfNoneMatch="*") == 412
    etag = s3.head_object(**here)["ETag"]
    assert status_of(s3.get_object, **here, IfMatch=etag) == 200
    assert status_of(s3.get_object, **here, IfMatch=OTHER_ETAG) == 412

    copy: dict[str, Any] = {"Bucket": BUCKET, "Key": "conditions/copy", "CopySource": here}
    assert status_of(s3.copy_object, **copy, CopySourceIfMatch=OTHER_ETAG) == 412
    assert status_of(s3.copy_object, **copy, CopySourceIfMatch=etag, IfNoneMatch="*") == 200
    assert status_of(s3.copy_object, **copy, CopySourceIfMatch=etag, IfNoneMatch="*") == 412
    assert s3.get_object(Bucket=BUCKET, Key="conditions/copy")["Body"].read() == b"1"


def test_of_many_puts_of_a_new_key_at_once_exactly_one_wins(servers: Servers) -> None:
    s3 = servers.object_store.client()
    answers: list[int] = []

    def put(number: int) -> None:
        answers.append(
            status_of(
                s3.put_object,
                Bucket=BUCKET,
                Key="conditions/race",
                Body=str(number).encode(),
                IfNoneMatch="*",
            )
        )

    threads = [threading.Thread(target=put, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(200) == 1
    assert len(answers) == 10


def test_signed_links_read_and_write_without_credentials(servers: Servers) -> None:
    s3 = servers.object_store.client()
    here = {"Bucket": BUCKET, "Key": "signed/é & a space.pdf"}
    put = s3.generate_presigned_url("put_object", Params=here, ExpiresIn=60)
    assert httpx.put(put, content=b"signed", timeout=60).status_code == 200
    get = s3.generate_presigned_url("get_object", Params=here, ExpiresIn=60)
    assert httpx.get(get, timeout=60).content == b"signed"
    assert httpx.get(get.split("?")[0], timeout=60).status_code == 403


def test_what_is_in_the_cache_expires_and_nothing_else_does(servers: Servers) -> None:
    s3 = servers.object_store.client()
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert [
        (rule.get("Filter", {}).get("Prefix"), rule.get("Expiration", {}).get("Days"))
        for rule in rules
    ] == [("cache/", 7)]


def test_an_object_put_in_the_inbox_is_announced_once_with_the_token(
    servers: Servers, receiver: Receiver
) -> None:
    s3 = servers.object_store.client()
    etag = s3.put_object(Bucket=BUCKET, Key="raw/a matter/é+1.pdf", Body=b"12345")["ETag"]
    s3.put_object(Bucket=BUCKET, Key="processed/not-announced", Body=b"1")
    s3.put_object(Bucket=BUCKET, Key="raw/last", Body=b"1")
    for key in ("/raw/a matter/é+1.pdf", "/raw/last"):  # in whatever order they come
        assert eventually(lambda key=key: bool(receiver.of_key(key)))

    (event,) = receiver.of_key("/raw/a matter/é+1.pdf")
    assert event["event_type"] == "create"
    assert event["key"] == f"/buckets/{BUCKET}/raw/a matter/é+1.pdf"
    entry = event["message"]["new_entry"]
    assert entry["attributes"]["file_size"] == 5
    assert base64.b64decode(entry["attributes"]["md5"]).hex() == etag.strip('"')
    assert not receiver.of_key("/processed/not-announced")
    assert {token for token, _ in receiver.announced} == {f"Bearer {WEBHOOK_TOKEN}"}


def test_an_acknowledged_object_survives_a_kill_of_the_server(servers: Servers) -> None:
    store = servers.object_store
    store.client().put_object(Bucket=BUCKET, Key="raw/just-before", Body=b"acknowledged")
    store.child.kill()
    store.child.start()
    store.child.wait_ready(300)
    kept = store.client().get_object(Bucket=BUCKET, Key="raw/just-before")
    assert kept["Body"].read() == b"acknowledged"


def test_rows_survive_a_kill_of_postgres_and_prefect_goes_on(servers: Servers) -> None:
    with psycopg.connect(servers.postgres.dsn("postgres")) as db:
        db.execute("CREATE TABLE survivors (id int)")
        db.execute("INSERT INTO survivors VALUES (1)")
    servers.postgres.child.kill()
    servers.postgres.child.start()
    servers.postgres.child.wait_ready(300)
    with psycopg.connect(servers.postgres.dsn("postgres")) as db:
        assert db.execute("SELECT id FROM survivors").fetchall() == [(1,)]

    def prefect_answers() -> bool:
        try:
            flows = httpx.post(f"{servers.prefect.api_url}/flows/filter", json={}, timeout=30)
        except httpx.HTTPError:
            return False
        return flows.is_success

    assert eventually(prefect_answers)


def test_flows_survive_a_kill_of_the_prefect_server(servers: Servers) -> None:
    prefect = servers.prefect
    httpx.post(
        f"{prefect.api_url}/flows/", json={"name": "survivor"}, timeout=60
    ).raise_for_status()
    prefect.child.kill()
    prefect.child.start()
    prefect.child.wait_ready(300)
    assert "survivor" in flow_names(prefect.api_url)


def test_a_second_stack_in_the_same_directory_is_refused(servers: Servers) -> None:
    with pytest.raises(Misconfigured, match="a stack is already running in"):
        start_servers(servers.state_dir, lambda _: None)
    assert all(child.is_alive() for child in servers.children)


def test_a_stack_whose_program_was_killed_comes_back_beside_another_one(
    servers: Servers, tmp_path: Path
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    api_url = program.stdout.readline().strip()
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    program.stdout.close()
    left_behind = processes_of(tmp_path)
    assert left_behind

    again = start_servers(tmp_path, lambda _: None)
    try:
        assert not any(process.is_running() for process in left_behind)
        assert again.prefect.api_url == api_url
        with psycopg.connect(again.postgres.dsn("postgres")) as db:
            assert db.execute("SELECT what FROM kept").fetchall() == [("a row",)]
        kept = again.object_store.client().get_object(Bucket=BUCKET, Key="raw/kept")
        assert kept["Body"].read() == b"bytes"
        assert all(child.is_alive() for child in servers.children)
    finally:
        again.stop()
    assert processes_of(tmp_path) == []
    ports = again.object_store.ports.values()
    sockets = Path("/tmp").glob("seaweedfs-*.sock")  # noqa: S108
    assert not [path for path in sockets if path.stem.endswith(tuple(f"-{port}" for port in ports))]


def test_when_one_server_cannot_start_the_others_are_stopped_again(tmp_path: Path) -> None:
    start_postgres(tmp_path / "postgres").stop()
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("7\n")
    with pytest.raises(Misconfigured, match="postgres ended at start") as failed:
        start_servers(tmp_path, lambda _: None)
    assert "\n" not in str(failed.value)
    assert processes_of(tmp_path) == []


def test_postgres_starts_over_the_mark_of_a_process_that_is_somebody_elses_now(
    tmp_path: Path,
) -> None:
    start_postgres(tmp_path / "postgres").stop()
    (tmp_path / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    start_postgres(tmp_path / "postgres").stop()
    assert processes_of(tmp_path) == []


def test_a_remembered_port_is_kept_unless_it_was_taken(tmp_path: Path) -> None:
    before = reserve_ports(tmp_path, ["gateway", "dashboard"])
    assert reserve_ports(tmp_path, ["gateway", "dashboard"]) == before
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", before["gateway"]))
        taker.listen()
        after = reserve_ports(tmp_path, ["gateway", "dashboard"])
    assert after["gateway"] != before["gateway"]
    assert after["dashboard"] == before["dashboard"]


def test_a_port_held_by_what_a_killed_stack_left_behind_stays_its_own(tmp_path: Path) -> None:
    before = reserve_ports(tmp_path, ["gateway"])
    left_behind = Child(
        "gateway",
        [sys.executable, "-m", "http.server", "--bind=127.0.0.1", str(before["gateway"])],
        state_dir=tmp_path,
        env=plain_environment(),
        is_ready=lambda: http_get(before["gateway"], "/") is not None,
    )
    left_behind.start()
    left_behind.wait_ready(300)
    assert reserve_ports(tmp_path, ["gateway"]) == before
    assert clear_leftovers(tmp_path) == 1
