"""Each safeguard on the way from the bucket to a session is needed: played with and without it.

The rows of docs/safeguards.md that need a real object store or a real Prefect; see
tests/sql/test_safeguards.py for those of the books alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from botocore.client import BaseClient
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.states import Crashed

from blocks.reading import Reading
from blocks.spending import Spending
from sql.arrivals import MAX_ATTEMPTS, SeenObject, begin_arrivals, notice
from tasks import dispatch as dispatching
from tasks import intake, watch
from tasks.dispatch import close_lost_sessions, dispatch
from tasks.inspector import open_inspector
from tasks.intake import Taken, take_in
from tasks.watch import watch_bucket
from tests.gateway.conftest import BUCKET, Site

Scenario = Callable[[Site], Awaitable[None]]
TakeAway = Callable[[pytest.MonkeyPatch], None]

READING = Reading(deployment="ocr/hosts")


@dataclass(frozen=True)
class Safeguard:
    """One of them."""

    name: str
    scenario: Scenario
    take_away: TakeAway


# --- What happens, and what must be true afterwards


def letter() -> bytes:
    """A file that becomes a document without a page: that it cannot be read is a fact of it."""
    return b"no document " + uuid4().bytes


async def put(site: Site, key: str, content: bytes) -> SeenObject:
    await asyncio.to_thread(site.put, key, content)
    head = site.storage.client().head_object(Bucket=BUCKET, Key=key)
    return SeenObject(key, head["ETag"].strip('"'), len(content))


async def take(site: Site, seen: SeenObject, *, attempts: int = 0) -> Taken:
    """What becomes of that arrival when ingest comes to it."""
    async with site.database.connect() as db:
        await notice(db, [seen], source="bucket")
    await site.change("update aseagi.arrivals set attempts = %s where state = 'noticed'", attempts)
    async with site.database.pool(max_size=2) as pool:
        async with pool.connection() as db:
            arrivals = await begin_arrivals(db, limit=10)
        async with open_inspector() as inspector:
            [taken] = await take_in.fn(arrivals, len(arrivals), site.storage, pool, inspector)
    return taken


async def a_file_is_overwritten_before_it_is_read(site: Site) -> None:
    """The old arrival does not become the new file, known from elsewhere: that one arrives."""
    key, known = f"raw/{uuid4().hex}.pdf", letter()
    await take(site, await put(site, f"raw/{uuid4().hex}.pdf", known))
    old = await put(site, key, letter())
    await put(site, key, known)
    assert (await take(site, old)).outcome == "superseded"


async def a_file_is_overwritten_between_read_and_copy(site: Site) -> None:
    """What lies under a hash has that hash."""
    key, content = f"raw/{uuid4().hex}.pdf", letter()
    seen = await put(site, key, content)
    with pytest.MonkeyPatch.context() as patch:
        read_once = intake._read_once  # pyright: ignore[reportPrivateUsage]

        def read_then_overwritten(*what: Any) -> object:
            read = read_once(*what)
            site.put(key, letter())
            return read

        patch.setattr(intake, "_read_once", read_then_overwritten)
        await take(site, seen)
    assert await original_of(site, content) in (None, content)


async def original_of(site: Site, content: bytes) -> bytes | None:
    client = site.storage.client()
    path = f"processed/{sha256(content).hexdigest()}/original"
    try:
        return client.get_object(Bucket=BUCKET, Key=path)["Body"].read()
    except client.exceptions.NoSuchKey:
        return None


async def a_file_goes_after_it_was_taken_in(site: Site) -> None:
    """Its original stays."""
    key, content = f"raw/{uuid4().hex}.pdf", letter()
    await take(site, await put(site, key, content))
    site.storage.client().delete_object(Bucket=BUCKET, Key=key)
    assert await original_of(site, content) == content


async def a_file_was_begun_too_often(site: Site) -> None:
    """Whoever takes it in dies of it: it is given up, and says so."""
    taken = await take(site, await put(site, f"raw/{uuid4().hex}.pdf", letter()), attempts=5)
    assert taken.reason is not None
    assert str(MAX_ATTEMPTS) in taken.reason


async def nobody_tells_of_a_file(site: Site) -> None:
    key = f"raw/{uuid4().hex}.pdf"
    await put(site, key, letter())

    def nobody_is_told(_key: str, *, size_bytes: int) -> None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "object_created", nobody_is_told)
        await watch_bucket.fn(site.storage, site.database)
    assert await site.rows("select 1 from aseagi.arrivals where key = %s", key)


class Killed(BaseException):
    """The process died at this line."""


async def runs_of(site: Site, session: UUID) -> list[UUID]:
    async with get_client() as prefect:
        runs = await prefect.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[site.deployment]))
        )
    return [run.id for run in runs if run.parameters.get("session_id") == str(session)]


async def a_session(site: Site) -> UUID:
    [(session,)] = await site.rows("select id from aseagi.ocr_sessions where state <> 'closed'")
    return session


async def a_dispatcher_dies_after_it_created_the_run(site: Site) -> None:
    """The next one finds that run: one session, one run, one host."""
    await site.add_document()

    async def die(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatching, "bind_run", die)
        with pytest.raises(Killed):
            await dispatch(site.database, READING, Spending())
    await dispatch(site.database, READING, Spending())
    session = await a_session(site)
    assert len(await runs_of(site, session)) == 1


async def a_run_ends_without_closing_its_session(site: Site) -> None:
    """The sweep closes it, and another is wanted for its pages."""
    await site.add_document()
    await dispatch(site.database, READING, Spending())
    lost = await a_session(site)
    [run] = await runs_of(site, lost)
    async with get_client() as prefect:
        await prefect.set_flow_run_state(run, Crashed(), force=True)
    await close_lost_sessions(site.database)
    await dispatch(site.database, READING, Spending())
    assert await a_session(site) != lost


# --- Taking safeguards away


def without_condition(operation: str, condition: str) -> TakeAway:
    """The store is not told under which condition."""

    def take_away(patch: pytest.MonkeyPatch) -> None:
        call: Callable[..., Any] = vars(BaseClient)["_make_api_call"]

        def unconditional(self: BaseClient, called: str, params: dict[str, Any]) -> Any:
            if called == operation:
                params.pop(condition)
            return call(self, called, params)

        patch.setattr(BaseClient, "_make_api_call", unconditional)

    return take_away


def without_copy(patch: pytest.MonkeyPatch) -> None:
    def leave_it_there(*_: object) -> None:
        return None

    patch.setattr(intake, "_copy", leave_it_there)


def without_giving_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intake, "MAX_ATTEMPTS", 1_000)


def without_listing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(watch, "INBOXES", ())


def without_key(patch: pytest.MonkeyPatch) -> None:
    create = PrefectClient.create_flow_run_from_deployment

    async def forgetful(self: PrefectClient, *what: Any, **more: Any) -> Any:
        return await create(self, *what, **more | {"idempotency_key": None})

    patch.setattr(PrefectClient, "create_flow_run_from_deployment", forgetful)


def without_looking_at_runs(patch: pytest.MonkeyPatch) -> None:
    async def goes_on(*_: object) -> None:
        return None

    patch.setattr(dispatching, "_end_of_run", goes_on)


SAFEGUARDS = (
    Safeguard(
        "read under If-Match",
        a_file_is_overwritten_before_it_is_read,
        without_condition("GetObject", "IfMatch"),
    ),
    Safeguard(
        "copied under If-Match",
        a_file_is_overwritten_between_read_and_copy,
        without_condition("CopyObject", "CopySourceIfMatch"),
    ),
    Safeguard("immutable copy", a_file_goes_after_it_was_taken_in, without_copy),
    Safeguard("given up after five", a_file_was_begun_too_often, without_giving_up),
    Safeguard("sweep: bucket", nobody_tells_of_a_file, without_listing),
    Safeguard(
        "idempotency key of sessions", a_dispatcher_dies_after_it_created_the_run, without_key
    ),
    Safeguard("sweep: sessions", a_run_ends_without_closing_its_session, without_looking_at_runs),
)

each_safeguard = pytest.mark.parametrize(
    "safeguard", SAFEGUARDS, ids=[one.name for one in SAFEGUARDS]
)


@each_safeguard
async def test_with_the_safeguard_nothing_is_lost_or_twice(safeguard: Safeguard, at: Site) -> None:
    await safeguard.scenario(at)


@each_safeguard
async def test_without_the_safeguard_it_is(safeguard: Safeguard, at: Site) -> None:
    with pytest.MonkeyPatch.context() as patch:
        safeguard.take_away(patch)
        with pytest.raises(AssertionError):
            await safeguard.scenario(at)
