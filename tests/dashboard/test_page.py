import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from blocks.database import Database
from blocks.loading import NAME
from blocks.spending import Spending
from dashboard.costs import Month
from dashboard.data import DOCUMENTS_PER_PAGE
from tests.dashboard.conftest import Rows

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
RUN_SECONDS = 300


def _page(dsn: str) -> None:
    from pydantic import SecretStr

    from blocks.database import Database
    from blocks.spending import Spending
    from dashboard.data import Settings
    from dashboard.page import show_page

    database = Database(dsn=SecretStr("postgresql://nobody@/nothing"), dashboard_dsn=SecretStr(dsn))
    show_page(lambda: Settings(database, Spending()))


def look(dashboard_dsn: str) -> AppTest:
    """The page as somebody sees it who opens it now."""
    page = AppTest.from_function(
        _page, kwargs={"dsn": dashboard_dsn}, default_timeout=RUN_SECONDS
    ).run()
    assert not page.exception
    return page


def metrics(page: AppTest) -> dict[str, str]:
    return {one.label: one.value.replace("\\", "") for one in page.metric}


def table(page: AppTest, column: str) -> pd.DataFrame:
    """The table that has this column."""
    return next(one.value for one in page.dataframe if column in one.value.columns)


def text(page: AppTest) -> str:
    return "\n".join(one.value for one in (*page.subheader, *page.markdown))


def test_the_page_opens_with_what_the_month_cost(rows: Rows, dashboard_dsn: str) -> None:
    now = datetime.now(UTC)
    rows.charge("gpu", 0.0023, now.date())
    rows.charge("llm", 0.01, now.date())
    rows.document(pages=4, added=now)

    page = look(dashboard_dsn)

    assert not page.info, "all of it is real money"
    shown = metrics(page)
    assert shown["This month so far"] == "$0.0123"
    assert shown["Per document"] == "$0.0123"
    assert shown["Per 1,000 pages"] == "$3.08"
    assert "Saved against a 24/7 GPU server" in shown
    by_component = table(page, "Component").set_index("Component")["Dollars"]
    assert by_component.to_dict() == {
        "GPU": 0.0023, "Disk": 0, "Bandwidth": 0, "LLM": 0.01, "Storage": 0, "Fixed": 0,
    }  # fmt: skip


def test_what_the_rehearsal_is_said_to_cost_is_marked_as_no_money(
    rows: Rows, dashboard_dsn: str
) -> None:
    now = datetime.now(UTC)
    session = rows.session(created=now)
    real = rows.host(session, created=now, reserved_dollars=1)
    rows.charge("gpu", 0.25, now.date(), session=session, host=real)
    rehearsed = rows.host(session, created=now, reserved_dollars=1, rehearsal=True)
    rows.charge("gpu", 0.5, now.date(), session=session, host=rehearsed)

    (said,) = look(dashboard_dsn).info
    assert "$0.50" in said.value.replace("\\", "")
    assert "no money" in said.value


def test_an_earlier_month_can_be_chosen(rows: Rows, dashboard_dsn: str) -> None:
    now = datetime.now(UTC)
    before = now.replace(day=1) - timedelta(days=1)
    rows.charge("gpu", 7.5, before.date())
    rows.charge("gpu", 1, now.date())
    page = look(dashboard_dsn)

    page.selectbox(key="month").select(Month.of(before.date())).run()

    assert not page.exception
    assert metrics(page)["This month"] == metrics(page)["At its end"] == "$7.50"


def test_an_empty_database_teaches_how_to_add_documents(dashboard_dsn: str) -> None:
    page = look(dashboard_dsn)

    assert "No documents yet" in text(page)
    assert "aseagi add" in text(page)
    assert metrics(page)["Per document"] == "–"


def test_a_failed_document_and_a_failed_arrival_say_why(rows: Rows, dashboard_dsn: str) -> None:
    rows.document("failed", name="locked.pdf", reason="The PDF is encrypted.")
    rows.document("completed")
    rows.failed_arrival("raw/song.mp3", "This is no document but a song.")
    page = look(dashboard_dsn)

    page.segmented_control(key="status").set_value("failed").run()

    documents = table(page, "Document")
    assert documents["Document"].to_list() == ["locked.pdf"]
    assert documents["Title, or why it failed"].to_list() == ["The PDF is encrypted."]
    assert table(page, "Key")["Reason"].to_list() == ["This is no document but a song."]


def test_what_wants_a_persons_eye_is_counted_and_says_why(rows: Rows, dashboard_dsn: str) -> None:
    rows.page(rows.document(name="torn.pdf", pages=2), 2, "failed")
    rows.document(name="undated.pdf")

    page = look(dashboard_dsn)

    assert "To review: 2" in text(page)
    queue = table(page, "Wants a look")
    assert queue["Wants a look"].to_list() == ["torn.pdf", "undated.pdf"]
    assert queue["Why"].to_list() == ["page 2 could not be read; no date", "no date"]


def test_an_analysis_that_lacks_something_says_what_before_its_title(
    rows: Rows, dashboard_dsn: str
) -> None:
    rows.lacks(rows.document(), "page 2: Claude declined to analyse it.")

    documents = table(look(dashboard_dsn), "Document")

    assert documents["Title, or why it failed"].to_list() == [
        "page 2: Claude declined to analyse it. · A letter"
    ]


def test_what_is_put_off_and_what_is_in_a_batch_are_shown(rows: Rows, dashboard_dsn: str) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=10)
    for _ in range(2):
        rows.put_off(rows.document("queued"), "The month's limit of $20.00 is used up.", soon)
    rows.put_off(rows.document("queued"), "Claude is overloaded.", soon)
    rows.batch(1200, look_at=soon)

    page = look(dashboard_dsn)

    put_off = table(page, "Why")
    assert put_off["Documents"].to_list() == [2, 1]
    assert put_off["Why"].to_list()[0] == "The month's limit of $20.00 is used up."
    (said,) = page.info
    assert said.value.startswith("1,200 questions with Claude in a batch")


def test_nothing_is_said_of_waits_and_batches_where_there_are_none(
    rows: Rows, dashboard_dsn: str
) -> None:
    rows.put_off(rows.document("queued"), "Over.", datetime.now(UTC) - timedelta(minutes=1))

    page = look(dashboard_dsn)

    assert "Put off" not in text(page)
    assert not page.info


def test_older_documents_are_one_button_away(rows: Rows, dashboard_dsn: str) -> None:
    for n in range(DOCUMENTS_PER_PAGE + 3):
        rows.document(name=f"{n}.pdf", added=datetime.now(UTC) - timedelta(hours=n))
    page = look(dashboard_dsn)
    assert len(table(page, "Document")) == DOCUMENTS_PER_PAGE

    next(one for one in page.button if one.label == "Older").click().run()

    assert not page.exception
    assert table(page, "Document")["Document"].to_list() == ["50.pdf", "51.pdf", "52.pdf"]


def test_sessions_and_hosts_that_are_open_are_shown(rows: Rows, dashboard_dsn: str) -> None:
    now = datetime.now(UTC)
    rows.document("queued")
    session = rows.session("running", pages_read=7, created=now)
    rows.host(session, created=now, reserved_dollars=0.5)

    page = look(dashboard_dsn)

    assert table(page, "Pages read")["Pages read"].to_list() == [7]
    assert table(page, "Per hour")["Reserved"].to_list() == [0.5]


def test_paused_spending_is_the_first_thing_one_reads(rows: Rows, dashboard_dsn: str) -> None:
    rows.run("update aseagi.controls set paused_at = now(), paused_reason = 'cost $5 too *much*'")

    page = look(dashboard_dsn)

    (banner,) = page.warning
    assert "Spending is paused" in banner.value
    assert r"cost \$5 too \*much\*" in banner.value


def test_a_postgres_that_is_away_is_one_line(tmp_path: Path) -> None:
    page = look(f"postgresql://aseagi_dashboard@/aseagi?host={tmp_path}")

    (line,) = page.error
    assert line.value.startswith("Postgres does not answer")
    assert not page.metric


def test_a_database_that_was_never_migrated_is_one_line(empty_dsn: str) -> None:
    page = look(empty_dsn)

    (line,) = page.error
    assert "aseagi deploy" in line.value


_OPEN_APP = f"""
from streamlit.testing.v1 import AppTest
page = AppTest.from_file({str(APP)!r}, default_timeout={RUN_SECONDS}).run()
for one in (*page.exception, *page.error):
    print("error:", one.value)
for one in page.metric:
    print(one.label, one.value, one.delta)
for one in page.dataframe:
    print(one.value.to_csv())
"""


def open_app(prefect_api_url: str) -> str:
    """What dashboard/app.py itself shows, in a process that was told where Prefect is."""
    opened = subprocess.run(
        [sys.executable, "-c", _OPEN_APP],
        env=os.environ | {"PREFECT_API_URL": prefect_api_url},
        cwd=APP.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return opened.stdout


def test_a_prefect_that_is_away_is_one_line() -> None:
    shown = open_app("http://127.0.0.1:1/api")

    assert len(shown.splitlines()) == 1
    assert "does not answer" in shown


@pytest.fixture(scope="module")
def prefect_api_url() -> Iterator[str]:
    with prefect_test_harness(server_startup_timeout=120):
        yield str(get_current_settings().api.url)


def test_the_app_finds_its_database_and_its_prices_in_prefects_blocks(
    rows: Rows, dashboard_dsn: str, prefect_api_url: str
) -> None:
    rows.document(name="found.pdf")
    address = SecretStr(dashboard_dsn)

    async def save() -> None:
        await Database(dsn=address, dashboard_dsn=address).asave(NAME, overwrite=True)
        await Spending(always_on_gpu_dollars_per_month=1000).asave(NAME, overwrite=True)

    asyncio.run(save())

    shown = open_app(prefect_api_url)

    assert "error:" not in shown
    assert "$1,000" in shown.replace("\\", "")
    assert "found.pdf" in shown
