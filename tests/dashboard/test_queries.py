from datetime import timedelta
from decimal import Decimal

from sql.connection import connect
from sql.dashboard import (
    Place,
    count_everything,
    list_matters,
    newest_documents,
    newest_sessions,
)
from tests.dashboard.conftest import LONG_AGO, Rows


async def test_turning_the_pages_of_the_list_shows_every_document_once_newest_first(
    rows: Rows, dashboard_dsn: str
) -> None:
    # Some of them added in the same instant.
    for n in range(12):
        rows.document("failed" if n % 3 else "queued", added=LONG_AGO + timedelta(hours=n // 4))

    seen: list[Place] = []
    async with connect(dashboard_dsn) as db:
        while lines := await newest_documents(db, limit=5, after=seen[-1] if seen else None):
            seen.extend(line.place for line in lines)

    assert len(seen) == len(set(seen)) == 12
    assert seen == sorted(seen, key=lambda one: (one.created_at, one.id), reverse=True)


async def test_the_list_narrows_to_a_matter_and_a_status(rows: Rows, dashboard_dsn: str) -> None:
    rows.document("failed", matter="smith", name="wanted.pdf", reason="It is encrypted.")
    rows.document("failed", matter="miller")
    rows.document("completed", matter="smith")
    rows.document("failed")

    async with connect(dashboard_dsn) as db:
        both = await newest_documents(db, matter="smith", statuses=("failed",), limit=10)
        failed = await newest_documents(db, statuses=("failed",), limit=10)
        smith = await newest_documents(db, matter="smith", limit=10)
        matters = await list_matters(db)

    assert [line.file_name for line in both] == ["wanted.pdf"]
    assert both[0].error is not None
    assert both[0].error["reason"] == "It is encrypted."
    assert (len(failed), len(smith)) == (3, 2)
    assert matters == ["miller", "smith"]


async def test_a_document_pays_its_own_charges_and_its_pages_share_of_the_session(
    rows: Rows, dashboard_dsn: str
) -> None:
    session = rows.session(pages_read=4, created=LONG_AGO)
    small, large = rows.document(pages=1), rows.document(pages=3)
    rows.page(small, 1, session=session)
    for number in (1, 2, 3):
        rows.page(large, number, "failed" if number == 3 else "done", session=session)
    rows.charge("gpu", 0.4, LONG_AGO.date(), session=session)
    rows.charge("llm", 0.01, LONG_AGO.date(), document=small)

    async with connect(dashboard_dsn) as db:
        lines = {line.id: line for line in await newest_documents(db, limit=10)}

    assert lines[small].cost_dollars == Decimal("0.11")
    assert lines[large].cost_dollars == Decimal("0.3")
    assert (lines[large].pages_done, lines[large].pages_failed) == (2, 1)


async def test_everything_is_counted_by_its_state(rows: Rows, dashboard_dsn: str) -> None:
    document = rows.document("processing", pages=6)
    rows.document("failed")
    for number, state in enumerate(["waiting", "waiting", "failed", "done", "done", "done"], 1):
        rows.page(document, number, state)
    rows.failed_arrival("raw/song.mp3", "It is no document.")

    async with connect(dashboard_dsn) as db:
        counts = await count_everything(db)

    assert (counts.jobs_processing, counts.jobs_failed, counts.jobs) == (1, 1, 2)
    assert (counts.pages_waiting, counts.pages_failed, counts.pages_done) == (2, 1, 3)
    assert counts.arrivals_failed == 1
    assert not counts.is_empty


async def test_open_sessions_stand_before_newer_closed_ones(rows: Rows, dashboard_dsn: str) -> None:
    running = rows.session("running", created=LONG_AGO)
    newer = rows.session(created=LONG_AGO + timedelta(days=1))
    rows.session(created=LONG_AGO - timedelta(days=1))

    async with connect(dashboard_dsn) as db:
        sessions = await newest_sessions(db, limit=2)

    assert [one.id for one in sessions] == [running, newer]
