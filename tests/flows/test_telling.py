"""What runs leave for people to read."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from flows.nightly import told
from sql.jobs import FailedJob, QueueCounts

COUNTS = QueueCounts(0, 0, 1, 240, 2, 0, 0, 0, 900, 3, 0)


def test_the_digest_names_what_claude_was_asked_for_and_did_not_answer() -> None:
    failed = FailedJob(
        uuid4(),
        "locked.pdf",
        datetime.now(UTC),
        {"stage": "read", "reason": "It is encrypted.", "retry_helps": False},
    )
    text = told(COUNTS, [failed], incomplete=7, claude=Decimal("0.1234"), month=Decimal("3.5"))
    assert text.startswith(
        "**240 documents done**, 1 unfinished, 1 failed tonight. "
        "The month has cost $3.50 so far, Claude $0.1234 of it tonight."
    )
    assert "Completed tonight without all that Claude was asked for: 7." in text
    assert text.endswith("| locked.pdf | It is encrypted. |")


def test_the_digest_says_nothing_of_claude_where_it_was_not_asked() -> None:
    text = told(COUNTS, [], incomplete=0, claude=Decimal(0), month=Decimal("3.5"))
    assert "Claude" not in text
