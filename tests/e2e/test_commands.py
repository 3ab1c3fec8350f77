"""The program `aseagi` as a person uses it, and what it says when something is wrong."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from bench.throughput import letter
from sql.connection import Connection
from stack.embedded import Stack
from stack.processes import processes_of, sweep
from tests.e2e.conftest import PATIENCE, all_completed, eventually

PROGRAM = str(Path(sys.executable).parent / "aseagi")
SAMPLES = Path(__file__).parents[2] / "samples"
MATTERS = [str(SAMPLES / matter) for matter in ("smith-v-jones", "estate-of-miller")]


def aseagi(
    *words: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program as a person would; never with a terminal."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT", "ASEAGI"))
    }
    return subprocess.run(
        [PROGRAM, *words],
        env={**plain, **(environment or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def says_one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only line on stderr of a command that failed as it should."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr + done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    return line


def shell_of(stack: Stack) -> dict[str, str]:
    """The environment of a person's shell."""
    return {
        "PREFECT_API_URL": stack.addresses.prefect_api_url,
        "PREFECT_HOME": stack.environment["PREFECT_HOME"],
    }


@pytest.fixture
def environment(stack: Stack) -> dict[str, str]:
    return shell_of(stack)


def test_add_process_show_search_export_and_retry_work_from_a_shell(
    stack: Stack, empty: None, environment: dict[str, str], tmp_path: Path, db: Connection
) -> None:
    folder = tmp_path / "shell-matter"
    (folder / "inner").mkdir(parents=True)
    (folder / "a letter, näher.png").write_bytes(letter(30_000))
    (folder / "inner" / "b.png").write_bytes(letter(30_001))
    (folder / "notes.txt").write_bytes(b"\x00 no document")

    added = json.loads(aseagi("add", str(folder), "--json", environment=environment).stdout)
    assert [one["outcome"] for one in added] == ["added", "added", "skipped"]
    assert added[1]["key"] == "uploads/shell-matter/inner/b.png"
    again = json.loads(aseagi("add", str(folder), "--json", environment=environment).stdout)
    assert [one["outcome"] for one in again] == ["already there", "already there", "skipped"]

    processed = aseagi("process", "--wait", "--json", environment=environment)
    assert json.loads(processed.stdout)["unfinished"] == 0, processed.stderr

    status = aseagi("status", "--json", "--matter", "shell-matter", environment=environment)
    # Taken in side by side, in whatever order.
    documents = sorted(
        json.loads(status.stdout)["documents"], key=lambda one: str(one["original_path"])
    )
    assert [one["status"] for one in documents] == ["completed", "completed"]
    assert documents[0]["original_path"] == str(folder / "a letter, näher.png")

    shown = aseagi("show", documents[0]["id"][:8], "--json", "--text", environment=environment)
    assert "dated March 3, 2024" in json.loads(shown.stdout)["pages"][0]["text"]
    for words in (("show", documents[0]["id"][:8], "--text"), ("status", "--documents")):
        assert aseagi(*words, environment=environment).returncode == 0

    found = aseagi(
        "search",
        '"dear reader" -invoice',
        "--json",
        "--matter",
        "shell-matter",
        environment=environment,
    )
    assert len(json.loads(found.stdout)) == 2
    none = aseagi("search", "zebra", environment=environment)
    assert none.stdout.strip() == "No page says that."

    exported = aseagi(
        "export",
        "--matter",
        "shell-matter",
        "--to",
        str(tmp_path / "out"),
        "--json",
        environment=environment,
    )
    result = json.loads(exported.stdout)
    assert sorted(path.name for path in Path(result["folder"]).iterdir()) == sorted(result["files"])
    assert "X-Amz-Signature" in result["link"]

    retried = aseagi("retry", documents[0]["id"], environment=environment)
    assert retried.stdout.strip() == "0 documents and 0 arrivals wait again"


def test_another_file_of_the_same_name_is_kept_beside_the_first(
    stack: Stack, empty: None, environment: dict[str, str], tmp_path: Path
) -> None:
    keys: list[str] = []
    for number in (31_000, 31_001):
        file = tmp_path / str(number) / "same.png"
        file.parent.mkdir()
        file.write_bytes(letter(number))
        done = aseagi("add", "--matter", "same-name", "--json", str(file), environment=environment)
        keys.append(json.loads(done.stdout)[0]["key"])
    assert keys[0] == "uploads/same-name/same.png"
    assert keys[1].startswith("uploads/same-name/same.")
    assert keys[1] != keys[0]


def test_pause_and_resume_say_what_they_did(
    stack: Stack, empty: None, environment: dict[str, str]
) -> None:
    assert aseagi("pause", "the invoice", environment=environment).returncode == 0
    try:
        line = says_one_line(aseagi("process", environment=environment))
        assert "the invoice" in line
        assert "aseagi resume" in line
        assert "PAUSED: the invoice" in aseagi("status", environment=environment).stdout
    finally:
        assert aseagi("resume", environment=environment).returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "/no/such/file.pdf"), "does not exist"),
        (("show", "ffffffff"), "No document's id begins with"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(
    stack: Stack, environment: dict[str, str], words: tuple[str, ...], says: str
) -> None:
    assert says in says_one_line(aseagi(*words, environment=environment))


def test_without_a_stack_the_way_out_is_named(tmp_path: Path) -> None:
    line = says_one_line(aseagi("status", cwd=tmp_path))
    assert "aseagi up" in line


def test_an_unreachable_prefect_is_one_clear_line() -> None:
    line = says_one_line(
        aseagi("status", environment={"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    )
    assert "http://127.0.0.1:9/api does not answer" in line


def test_a_missing_block_is_one_clear_line(stack: Stack, environment: dict[str, str]) -> None:
    """An empty Prefect API: the stack's own server, asked for blocks under another name."""
    code = (
        "import blocks.loading as loading; loading.NAME = 'absent'\n"
        "import sys; sys.argv = ['aseagi', 'status']\n"
        "from cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    line = says_one_line(done)
    assert "aseagi-database/absent is missing" in line
    assert "aseagi deploy" in line


@pytest.mark.parametrize(
    ("owner", "says"),
    [
        ("", "ASEAGI_DATABASE_OWNER_URL is not set"),
        ("postgresql://nobody@127.0.0.1:9/aseagi", "is ASEAGI_DATABASE_OWNER_URL right"),
        ("mysql://x", "Check ASEAGI_DATABASE_OWNER_URL"),
    ],
)
def test_deploy_says_what_is_wrong_with_the_database(
    stack: Stack, environment: dict[str, str], owner: str, says: str, tmp_path: Path
) -> None:
    done = aseagi(
        "deploy", environment={**environment, "ASEAGI_DATABASE_OWNER_URL": owner}, cwd=tmp_path
    )
    assert says in says_one_line(done)


@pytest.fixture(scope="module")
def own_state() -> Iterator[Path]:
    """The state folder of a stack of these tests' own, as a person has one for years.

    Who starts it first makes its databases, and who starts it again finds them.
    """
    # Not pytest's folder: Postgres' system user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="aseagi-own-"))
    yield folder / ".aseagi"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def state(own_state: Path) -> Iterator[Path]:
    """That folder; nothing of its stack may be left running."""
    yield own_state
    assert processes_of(own_state) == []


def said_by(program: subprocess.Popen[bytes], log: Path, words: str) -> None:
    """Wait until the program has said so."""
    deadline = time.monotonic() + PATIENCE
    while words not in log.read_text():
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def test_ctrl_c_stops_everything_that_up_started(tmp_path: Path, state: Path) -> None:
    log = tmp_path / "up.log"
    with log.open("wb") as out:
        up = subprocess.Popen(
            [PROGRAM, "up", "--no-dashboard", "--state", str(state)], stdout=out, stderr=out
        )
    try:
        said_by(up, log, "Ctrl-C stops everything")
        assert len(processes_of(state)) > 5
        second = says_one_line(aseagi("up", "--state", str(state)))
        assert "already running" in second
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE) == 0
        assert processes_of(state) == []
    finally:
        up.kill()
        sweep(state)


def test_closing_the_terminal_stops_everything_that_up_started(state: Path) -> None:
    terminal, end = pty.openpty()
    up = subprocess.Popen(
        [
            # Tests under `nohup` hand the ignored signal on, and `up` would respect that.
            *("env", "--default-signal=HUP"),
            # The terminal is its own, so the kernel tells it when that is gone.
            *("setsid", "--ctty"),
            *(PROGRAM, "up", "--no-dashboard", "--state", str(state)),
        ],
        stdin=end,
        stdout=end,
        stderr=end,
    )
    os.close(end)
    try:
        said = b""
        while b"Ctrl-C stops everything" not in said:
            said += os.read(terminal, 4096)
        assert len(processes_of(state)) > 5
        os.close(terminal)
        assert up.wait(PATIENCE) == 0
        assert processes_of(state) == []
    finally:
        up.kill()
        sweep(state)


def test_a_terminated_demo_stops_the_stack_it_started(tmp_path: Path, state: Path) -> None:
    log = tmp_path / "demo.log"
    with log.open("wb") as out:
        demo = subprocess.Popen([PROGRAM, "demo", "--state", str(state)], stdout=out, stderr=out)
    try:
        said_by(demo, log, "samples added")
        demo.send_signal(signal.SIGTERM)
        demo.send_signal(signal.SIGHUP)
        assert demo.wait(PATIENCE) == 130
        assert "Traceback" not in log.read_text()
        assert processes_of(state) == []
    finally:
        demo.kill()
        sweep(state)


def test_process_reads_what_waits_for_the_night_too(
    stack: Stack, empty: None, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(letter(32_000))
    words = ("add", "--matter", "night", "--lane", "nightly", str(tmp_path / "a.png"))
    assert aseagi(*words, environment=environment).returncode == 0
    done = aseagi("process", "--wait", "--timeout-minutes", "8", environment=environment)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def letters(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The matters `anew`, `put-off` and `lacks`: a letter each, read and analysed at one go."""
    folder = tmp_path_factory.mktemp("letters")
    matters = [folder / name for name in ("anew", "put-off", "lacks")]
    for number, matter in enumerate(matters, start=36_000):
        matter.mkdir()
        (matter / "a.png").write_bytes(letter(number))
    environment = shell_of(stack)
    assert aseagi("add", *map(str, matters), environment=environment).returncode == 0
    done = aseagi("process", "--wait", environment=environment)
    assert done.returncode == 0, done.stderr


async def test_documents_are_analysed_anew_from_a_shell(
    stack: Stack, letters: None, empty: None, environment: dict[str, str], db: Connection
) -> None:
    words = ("--matter", "anew", "--by-rules-only", "--json")
    done = aseagi("analyse", *words, environment=environment)
    assert json.loads(done.stdout) == {"queued": 1}, done.stderr
    assert aseagi("process", "--wait", environment=environment).returncode == 0
    cursor = await db.execute(
        """
        select job.analysis_round, job.status, document.analysis ->> 'analyst', document.id::text
        from aseagi.processing_jobs job join aseagi.documents document
            on document.id = job.document_id
        where document.matter = 'anew'
        """
    )
    row = await cursor.fetchone()
    assert row is not None
    assert row[:3] == (1, "completed", "offline rules 2")
    await db.execute(
        "update aseagi.documents set analysis = analysis || %s where matter = 'anew'",
        (Jsonb({"analyst": "a model"}),),
    )
    words = ("analyse", "--by-rules-only", row[3][:8])
    said = aseagi(*words, environment=environment).stdout
    assert said.startswith("0 documents are analysed anew\nThe others are left alone")


@pytest.mark.parametrize(
    ("words", "says"), [((), "--by-rules-only"), (("--all", "--matter", "x"), "leave it out")]
)
def test_nothing_is_analysed_anew_unless_a_person_says_what(
    words: tuple[str, ...], says: str
) -> None:
    assert says in says_one_line(aseagi("analyse", *words))


async def test_what_is_put_off_is_said_until_resume_lets_it_go_on(
    stack: Stack, letters: None, empty: None, environment: dict[str, str], db: Connection
) -> None:
    await db.execute(
        """
        update aseagi.processing_jobs set status = 'queued', stage = 'analyse',
            completed_at = null, waits_until = now() + interval '1 hour', waits_for = 'No credit.'
        where document_id in (select id from aseagi.documents where matter = 'put-off')
        """
    )
    said = aseagi("status", environment=environment).stdout
    assert "put off: 1 document until " in said
    assert "No credit." in said
    waiting = json.loads(aseagi("status", "--json", environment=environment).stdout)["put_off"]
    assert [(one["reason"], one["jobs"]) for one in waiting] == [("No credit.", 1)]
    resumed = aseagi("resume", environment=environment).stdout
    assert resumed.strip() == "Resumed; 0 sessions started, 1 document no longer put off."
    await eventually(lambda: all_completed(db, "put-off", 1))


async def test_show_says_what_an_analysis_lacks(
    stack: Stack, letters: None, empty: None, environment: dict[str, str], db: Connection
) -> None:
    lacks = {"stage": "analyse", "reason": "Claude is overloaded.", "retry_helps": True}
    cursor = await db.execute(
        """
        update aseagi.processing_jobs set results = results || %s
        where document_id in (select id from aseagi.documents where matter = 'lacks')
        returning document_id::text
        """,
        (Jsonb({"analysis_failure": lacks}),),
    )
    row = await cursor.fetchone()
    assert row is not None
    short = row[0][:8]
    again = f"Claude is overloaded. The rules answered instead. `aseagi retry {short}` asks again."
    assert again in aseagi("show", short, environment=environment).stdout
    shown = json.loads(aseagi("show", short, "--json", environment=environment).stdout)
    assert shown["analysis_failure"]["reason"] == "Claude is overloaded."
    retried = aseagi("retry", environment=environment).stdout
    assert retried.strip() == "1 documents and 0 arrivals wait again"
    await eventually(lambda: all_completed(db, "lacks", 1))


def test_a_matter_that_is_no_folders_name_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(letter(1))
    line = says_one_line(aseagi("add", "--matter", "../x", str(tmp_path / "a.png"), cwd=tmp_path))
    assert "matter's name" in line


def test_hosts_and_costs_say_what_is_rented_and_what_the_month_costs(
    environment: dict[str, str],
) -> None:
    listed = aseagi("hosts", "--json", environment=environment)
    assert json.loads(listed.stdout) == [], listed.stderr
    costs = json.loads(aseagi("costs", "--json", environment=environment).stdout)
    assert float(costs["month"]["budget"]) > 0
    assert (
        "no host 99"
        in says_one_line(aseagi("hosts", "destroy", "99", environment=environment)).lower()
    )


def test_offers_are_what_the_pool_that_reads_would_rent(
    stack: Stack, environment: dict[str, str]
) -> None:
    refused = says_one_line(aseagi("hosts", "offers", environment=environment))
    assert "ocr/local, which rents nothing" in refused
    name = "ocr/vast-gpu"
    offers = aseagi("hosts", "offers", "--deployment", name, "--json", environment=environment)
    ranking = json.loads(offers.stdout)
    dollars = [float(one["dollars_per_page"]) for one in ranking["best_first"]]
    assert dollars
    assert dollars == sorted(dollars)
    assert all(one["why"] for one in ranking["rejected"])


def test_an_estimate_says_what_the_samples_would_cost_and_adds_none(
    stack: Stack, environment: dict[str, str]
) -> None:
    done = aseagi("estimate", *MATTERS, environment=environment)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "reading 12 of 15 pages in 1 session" in text
    assert "together 11 documents, 15 pages" in text
    assert "appraisal-report-incomplete-download.pdf: The end of the PDF is missing" in text
    assert "Claude is not set up: the rules analyse, for nothing." in text
    assert "left this month: $" in text

    at_once, nightly = (
        json.loads(
            aseagi("estimate", *MATTERS, "--json", "--lane", lane, environment=environment).stdout
        )
        for lane in ("bulk", "nightly")
    )
    assert (at_once["documents"], at_once["pages_to_read"], at_once["there_twice"]) == (11, 12, 1)
    assert at_once["known_already"] == 0  # the first estimate has added nothing
    assert float(at_once["expected_dollars"]) == 0  # a machine of one's own, and rules
    assert at_once["claude"]["questions"] == 11
    assert nightly["claude"]["expected_dollars"] == at_once["claude"]["nightly_dollars"]
    assert float(nightly["claude"]["expected_dollars"]) > 0
    assert float(nightly["claude"]["most_dollars"]) < float(at_once["claude"]["most_dollars"])


def test_a_document_that_is_known_costs_nothing_again(
    stack: Stack, empty: None, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(letter(37_000))
    before = json.loads(aseagi("estimate", str(file), "--json", environment=environment).stdout)
    assert (before["documents"], before["known_already"]) == (1, 0)
    assert aseagi("add", str(file), environment=environment).returncode == 0
    done = aseagi("process", "--wait", "--timeout-minutes", "8", environment=environment)
    assert done.returncode == 0, done.stderr
    after = json.loads(aseagi("estimate", str(file), "--json", environment=environment).stdout)
    assert (after["documents"], after["known_already"]) == (0, 1)
