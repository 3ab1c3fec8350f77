"""Whatever a person can mend is one line with the way out."""

import threading
from collections.abc import Callable, Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from boto3.exceptions import S3UploadFailedError
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from psycopg_pool import PoolTimeout

from blocks.reading import Reading
from blocks.spending import Spending
from cli.console import run
from schema.failures import AseagiError, Misconfigured, RetryLater


async def fails_with(error: Exception) -> None:
    raise error


def said(work: Coroutine[None, None, object]) -> AseagiError:
    """What `run` makes of the work's failure."""
    with pytest.raises(AseagiError) as failed:
        run(work)
    assert str(failed.value).isprintable()
    return failed.value


@pytest.mark.parametrize(
    ("error", "kind", "way_out"),
    [
        (psycopg.errors.UndefinedTable("no"), Misconfigured, "Run `aseagi deploy`"),
        (psycopg.errors.UndefinedColumn("no"), Misconfigured, "Run `aseagi deploy`"),
        (psycopg.errors.InvalidSchemaName("no"), Misconfigured, "Run `aseagi deploy`"),
        (psycopg.errors.InsufficientPrivilege("no"), Misconfigured, "aseagi_app"),
        (PoolTimeout("no"), RetryLater, "Try again"),
        (psycopg.OperationalError("no"), RetryLater, "Is it running?"),
        (S3UploadFailedError("no"), RetryLater, "aseagi-object-storage/aseagi"),
    ],
)
def test_trouble_of_a_server_is_one_line_with_the_way_out(
    error: Exception, kind: type[AseagiError], way_out: str
) -> None:
    explained = said(fails_with(error))
    assert isinstance(explained, kind)
    assert way_out in str(explained)


def test_a_database_never_migrated_asks_for_a_deploy(empty_dsn: str) -> None:
    async def look() -> None:
        async with await psycopg.AsyncConnection.connect(empty_dsn) as db:
            await db.execute("select paused_at from aseagi.controls")

    assert "Run `aseagi deploy`" in str(said(look()))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (
            lambda: Spending.model_validate({"monthly_budget_dollars": "secret"}),
            "monthly_budget_dollars of aseagi-spending",
        ),
        (lambda: Reading.model_validate({"max_hosts": "secret"}), "max_hosts of aseagi-reading"),
    ],
)
def test_a_wrong_value_of_a_block_names_block_and_field_but_not_the_value(
    make: Callable[[], object], names: str
) -> None:
    async def seed() -> None:
        make()

    explained = said(seed())
    assert isinstance(explained, Misconfigured)
    assert names in str(explained)
    assert "secret" not in str(explained)


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that answers everything with one status."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"detail": "no"}')

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("answering", "kind", "way_out"),
    [
        (401, Misconfigured, "PREFECT_API_AUTH_STRING"),
        (404, Misconfigured, "aseagi deploy"),
        (405, Misconfigured, "PREFECT_API_URL"),
        (500, RetryLater, "answered HTTP 500"),
    ],
    indirect=["answering"],
)
def test_what_prefect_answers_is_one_line_with_the_way_out(
    answering: str, kind: type[AseagiError], way_out: str
) -> None:
    async def ask() -> None:
        async with get_client() as client:
            await client.read_deployment_by_name("export/export")

    with temporary_settings({PREFECT_API_URL: answering}):
        explained = said(ask())
    assert isinstance(explained, kind)
    assert way_out in str(explained)


def test_a_mistake_in_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(fails_with(ZeroDivisionError()))
