"""What the database itself refuses, whoever asks. Every statement is one wrong state."""

from typing import LiteralString

import psycopg
import pytest
from psycopg.errors import (
    CheckViolation,
    ForeignKeyViolation,
    GeneratedAlways,
    InvalidTextRepresentation,
    NotNullViolation,
    UniqueViolation,
)

from sql.arrivals import SeenObject, notice
from tests.sql.house import House, new_document

OTHER_HASH = "b" * 64

DOCUMENT = """insert into aseagi.documents (file_hash, file_name, media_type, size_bytes,
    page_count, s3_raw_path, s3_processed_path) values """
ARRIVAL = "insert into aseagi.arrivals (key, etag, size_bytes, source, lane) values "
JOB = "update aseagi.processing_jobs set "
SESSION = "update aseagi.ocr_sessions set "
LEASE = "update aseagi.leases set "
HOST = "update aseagi.gpu_hosts set "
CHARGE = """insert into aseagi.charges (key, kind, dollars, quantity, unit, what, incurred_on)
    values """

WRONG: list[tuple[str, LiteralString, type[psycopg.Error]]] = [
    # documents
    ("a hash that is none", DOCUMENT + "('abc', '', '', 1, 1, '', '')", CheckViolation),
    (
        "a negative size",
        DOCUMENT + f"('{OTHER_HASH}', '', '', -1, 1, '', '')",
        CheckViolation,
    ),
    (
        "a negative page count",
        DOCUMENT + f"('{OTHER_HASH}', '', '', 1, -1, '', '')",
        CheckViolation,
    ),
    (
        "the same content twice",
        """insert into aseagi.documents (file_hash, file_name, media_type, size_bytes, page_count,
               s3_raw_path, s3_processed_path)
           select file_hash, '', '', 1, 1, '', '' from aseagi.documents""",
        UniqueViolation,
    ),
    ("an analysis without a type", "update aseagi.documents set analysis = '{}'", CheckViolation),
    # arrivals
    ("an arrival seen twice", ARRIVAL + "('key', 'etag', 1, 's', 'bulk')", UniqueViolation),
    ("an arrival of negative size", ARRIVAL + "('k', 'e', -1, 's', 'bulk')", CheckViolation),
    ("a lane that is none", ARRIVAL + "('k', 'e', 1, 's', 'soon')", InvalidTextRepresentation),
    (
        "an arrival ingested without a document",
        "update aseagi.arrivals set state = 'ingested', settled_at = now()",
        CheckViolation,
    ),
    (
        "an arrival failed without a reason",
        "update aseagi.arrivals set state = 'failed', settled_at = now()",
        CheckViolation,
    ),
    (
        "an arrival that waits and is settled",
        "update aseagi.arrivals set settled_at = now()",
        CheckViolation,
    ),
    ("an arrival in no known state", "update aseagi.arrivals set state = 'lost'", CheckViolation),
    # jobs
    ("a failure without a reason", JOB + "status='failed', completed_at=now()", CheckViolation),
    ("a reason without a failure", JOB + "error = '{}'", CheckViolation),
    ("a completion without its time", JOB + "status='completed', stage='done'", CheckViolation),
    ("a job completed half way", JOB + "status='completed', completed_at=now()", CheckViolation),
    ("an unfinished job with its end", JOB + "completed_at = now()", CheckViolation),
    ("a job in no known state", JOB + "status = 'lost'", CheckViolation),
    ("a job at no known stage", JOB + "stage = 'ship'", CheckViolation),
    ("a claim for ever", JOB + "stage='analyse', claimed_by=gen_random_uuid()", CheckViolation),
    (
        "a claim before the pages are read",
        JOB + "claimed_by = gen_random_uuid(), claimed_until = now()",
        CheckViolation,
    ),
    (
        "two jobs for one document",
        """insert into aseagi.processing_jobs (document_id, file_path, status, stage, lane)
           select document_id, file_path, status, stage, lane from aseagi.processing_jobs""",
        UniqueViolation,
    ),
    # sessions, attempts, hosts
    ("a session in no known state", SESSION + "state = 'lost'", CheckViolation),
    ("a session from nowhere", SESSION + "origin = 'elsewhere'", CheckViolation),
    (
        "a session closed without a reason",
        SESSION + "state = 'closed', closed_at = now()",
        CheckViolation,
    ),
    (
        "a session closed without its time",
        SESSION + "state = 'closed', close_reason = 'x'",
        CheckViolation,
    ),
    ("an open session with its end", SESSION + "closed_at=now(), close_reason='x'", CheckViolation),
    ("a session that runs without a run", SESSION + "flow_run_id = null", CheckViolation),
    ("a session that runs and never started", SESSION + "started_at = null", CheckViolation),
    (
        "two sessions of one run",
        """insert into aseagi.ocr_sessions (flow_run_id, lane, origin)
           select flow_run_id, lane, origin from aseagi.ocr_sessions""",
        UniqueViolation,
    ),
    (
        "a token hash that is cut short",
        "update aseagi.session_attempts set token_hash = 'short'",
        CheckViolation,
    ),
    (
        "one token for two attempts",
        """insert into aseagi.session_attempts
               (session_id, flow_run_id, run_count, token_hash, expires_at)
           select session_id, flow_run_id, 2, token_hash, expires_at
           from aseagi.session_attempts""",
        UniqueViolation,
    ),
    (
        "an attempt of no session",
        "update aseagi.session_attempts set session_id = gen_random_uuid()",
        ForeignKeyViolation,
    ),
    ("a host from nowhere", HOST + "provider = 'elsewhere'", CheckViolation),
    ("a host in no known state", HOST + "state = 'lost'", CheckViolation),
    ("a host that pays us", HOST + "dollars_per_hour = -1", CheckViolation),
    ("a negative reservation", HOST + "reserved_dollars = -1", CheckViolation),
    ("a host ended without a reason", HOST + "state='ended', ended_at=now()", CheckViolation),
    ("a host that runs and has ended", HOST + "ended_at=now(), end_reason='x'", CheckViolation),
    (
        "two hosts of one attempt",
        """insert into aseagi.gpu_hosts
               (session_id, attempt_id, provider, label, dollars_per_hour, reserved_dollars)
           select session_id, attempt_id, provider, 'other', 0, 0 from aseagi.gpu_hosts""",
        UniqueViolation,
    ),
    # leases
    ("a lease of nothing", LEASE + "pages = 0", CheckViolation),
    ("a lease in no known state", LEASE + "state = 'lost'", CheckViolation),
    ("an open lease with its end", LEASE + "closed_at = now()", CheckViolation),
    ("a lease over without its time", LEASE + "state = 'expired'", CheckViolation),
    ("a lease of no attempt", LEASE + "attempt_id = gen_random_uuid()", ForeignKeyViolation),
    ("a lease without an end", LEASE + "expires_at = null", NotNullViolation),
    # pages: the first is leased, the second waits
    ("a page before the first", "update aseagi.pages set number = 0", CheckViolation),
    ("one page twice", "update aseagi.pages set number = 1 where number = 2", UniqueViolation),
    (
        "a page of no document",
        "update aseagi.pages set document_id = gen_random_uuid()",
        ForeignKeyViolation,
    ),
    ("a page in no known state", "update aseagi.pages set state = 'lost'", CheckViolation),
    ("a page leased by nobody", "update aseagi.pages set lease_id = null", CheckViolation),
    (
        "a page in two states, waiting and leased",
        "update aseagi.pages set lease_id = (select id from aseagi.leases)",
        CheckViolation,
    ),
    (
        "a page in a lease that is none",
        "update aseagi.pages set lease_id = gen_random_uuid() where state = 'leased'",
        ForeignKeyViolation,
    ),
    ("a page that waits and has text", "update aseagi.pages set text = ''", CheckViolation),
    (
        "a page done without text",
        """update aseagi.pages set state='done', source='ocr', settled_at=now()
           where state = 'waiting'""",
        CheckViolation,
    ),
    (
        "a page done by nobody knows what",
        """update aseagi.pages set state='done', text='', settled_at=now()
           where state = 'waiting'""",
        CheckViolation,
    ),
    (
        "a page done at no time",
        "update aseagi.pages set state='done', text='', source='ocr' where state = 'waiting'",
        CheckViolation,
    ),
    (
        "a page failed without a reason",
        "update aseagi.pages set state='failed', settled_at=now() where state = 'waiting'",
        CheckViolation,
    ),
    ("a page that waits with a reason", "update aseagi.pages set error = '{}'", CheckViolation),
    ("a negative attempt", "update aseagi.pages set attempts = -1", CheckViolation),
    ("a source that is none", "update aseagi.pages set source = 'hearsay'", CheckViolation),
    ("a page slightly askew", "update aseagi.pages set rotation_degrees = 45", CheckViolation),
    ("more than certain", "update aseagi.pages set confidence = 1.5", CheckViolation),
    ("faster than time", "update aseagi.pages set seconds = -1", CheckViolation),
    ("search words written by hand", "update aseagi.pages set search = ''", GeneratedAlways),
    # money and the switch
    ("a charge twice", CHARGE + "('paid', 'gpu', 1, 1, 's', 'x', '2026-01-01')", UniqueViolation),
    ("a negative charge", CHARGE + "('a', 'gpu', -1, 1, 's', 'x', '2026-01-01')", CheckViolation),
    ("a negative quantity", CHARGE + "('a', 'gpu', 1, -1, 's', 'x', '2026-01-01')", CheckViolation),
    ("a charge of no kind", CHARGE + "('a', 'tips', 1, 1, 's', 'x', '2026-01-01')", CheckViolation),
    ("a second switch", "insert into aseagi.controls default values", UniqueViolation),
    ("a switch beside the switch", "insert into aseagi.controls values (false)", CheckViolation),
    ("a pause without a reason", "update aseagi.controls set paused_at = now()", CheckViolation),
    ("a reason without a pause", "update aseagi.controls set paused_reason = 'x'", CheckViolation),
]


async def a_house_at_work(house: House) -> None:
    """One document with a leased and a waiting page, one arrival, one charge."""
    await house.add(new_document(None, None))
    await house.lease(await house.begin(), limit=1)
    async with house.transaction():
        await notice(house.db, [SeenObject("key", "etag", 1)], source="a test")
    await house.change(CHARGE + "('paid', 'gpu', 1, 1, 'second', 'x', '2026-01-01')")


async def test_wrong_states_are_impossible(house: House) -> None:
    await a_house_at_work(house)
    possible: list[str] = []
    for name, statement, refusal in WRONG:
        try:
            async with house.owner.transaction(force_rollback=True):
                await house.change(statement)
        except refusal:
            continue
        except psycopg.Error as other:
            possible.append(f"{name}: {type(other).__name__}")
        else:
            possible.append(name)
    assert possible == []


def test_every_wrong_state_has_its_own_name() -> None:
    assert len({name for name, _, _ in WRONG}) == len(WRONG)


@pytest.mark.parametrize(
    "statement",
    [
        JOB + "stage = 'done'",
        JOB + "attempts = -1",
        SESSION + "pages_read = -1",
        "update aseagi.arrivals set attempts = -1",
    ],
)
async def test_further_wrong_states_are_impossible(house: House, statement: LiteralString) -> None:
    await a_house_at_work(house)
    with pytest.raises(psycopg.IntegrityError):
        await house.change(statement)
