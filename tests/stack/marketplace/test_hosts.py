"""Hosts are processes: what they get, how they end, and that none is ever left."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from stack.processes import plain_environment
from tests.stack.marketplace.conftest import Site, open_site
from tests.stack.rehearsals import wait_until

Open = Callable[..., Site]

# Writes its environment, then starts a process in a session of its own that ignores
# every polite signal, and ignores them too.
STUBBORN = (
    sys.executable,
    "-c",
    """
import json, os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True)
print(json.dumps(dict(os.environ)), flush=True)
time.sleep(600)
""",
)
ENDS = (sys.executable, "-c", "print('done')")


def processes_with(key: str) -> list[psutil.Process]:
    """Processes that hold this instance key."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CONTAINER_API_KEY") == key:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def rent_stubborn(site: Site) -> tuple[int, str]:
    """A running host with two processes; its id and its key."""
    created = site.rent(env={"GREETING": "hello", "-p 80:80": "1"}).json()
    instance_id, key = created["new_contract"], created["instance_api_key"]
    site.becomes(instance_id, "running")
    wait_until(lambda: len(processes_with(key)) == 2 and log_of(site, instance_id) != "")
    return instance_id, key


def log_of(site: Site, instance_id: int) -> str:
    return (site.settings.state_dir / "hosts" / f"{instance_id}.log").read_text()


def test_a_host_gets_exactly_what_an_image_and_the_create_would_give_it(
    open_market: Open,
) -> None:
    site = open_market(host_command=STUBBORN)
    instance_id, key = rent_stubborn(site)
    seen = json.loads(log_of(site, instance_id))
    # Python itself adds this one where the locale is C.
    seen.pop("LC_CTYPE", None)
    assert seen.pop("GPU_COUNT").isdigit()
    assert seen == {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "VIRTUAL_ENV": sys.prefix,
        "GREETING": "hello",
        "CONTAINER_ID": str(instance_id),
        "CONTAINER_API_KEY": key,
        "VAST_CONTAINERLABEL": f"C.{instance_id}",
    }


def test_destroying_ends_the_whole_tree_however_stubborn(open_market: Open) -> None:
    site = open_market(host_command=STUBBORN)
    instance_id, key = rent_stubborn(site)
    site.destroy(instance_id).raise_for_status()
    assert site.host(instance_id)["pid"] is None
    wait_until(lambda: not processes_with(key))


def test_a_host_that_ends_by_itself_has_exited_and_bills_its_disk_on(open_market: Open) -> None:
    site = open_market(host_command=ENDS)
    instance_id = site.rented()
    exited = site.becomes(instance_id, "exited")
    assert exited["cur_state"] == "stopped"
    assert exited["pid"] is None
    wait_until(lambda: site.host(instance_id)["disk_seconds"] > exited["disk_seconds"])
    assert site.host(instance_id)["gpu_seconds"] == exited["gpu_seconds"]


def test_what_is_not_ours_to_run_has_no_process(open_market: Open) -> None:
    site = open_market(host_command=STUBBORN)
    instance_id = site.rented(runtype="ssh_proxy")
    assert site.becomes(instance_id, "running")["pid"] is None


def test_a_host_command_that_cannot_start_is_an_exited_instance(open_market: Open) -> None:
    site = open_market(host_command=("/nowhere/host",))
    instance_id = site.rented()
    assert "cannot be started" in site.becomes(instance_id, "exited")["status_msg"]


def test_sigterm_ends_the_marketplace_and_every_host(open_market: Open) -> None:
    site = open_market(host_command=STUBBORN)
    _, key = rent_stubborn(site)
    site.running.child.stop(seconds=120)
    assert site.running.child.exit_code() == 0
    assert processes_with(key) == []


def test_a_host_dies_with_a_marketplace_that_was_killed(open_market: Open) -> None:
    site = open_market()
    created = site.rent().json()
    site.becomes(created["new_contract"], "running")
    os.kill(site.running.child.pid, signal.SIGKILL)
    wait_until(lambda: not processes_with(created["instance_api_key"]))


def test_after_a_kill_all_is_remembered_and_running_hosts_have_exited(open_market: Open) -> None:
    site = open_market(host_command=STUBBORN, time_scale=100.0)
    gone = site.rented()
    site.destroy(gone).raise_for_status()
    final = site.host(gone)["total_dollars"]
    running, key = rent_stubborn(site)
    os.kill(site.running.child.pid, signal.SIGKILL)
    wait_until(lambda: not site.running.child.is_alive())

    again = open_site(site.settings)
    try:
        assert again.running.api_key == site.running.api_key
        # Whatever left the killed host's tree is ended at the start.
        assert processes_with(key) == []
        host = again.host(running)
        assert (host["actual_status"], host["cur_state"]) == ("exited", "stopped")
        assert again.host(gone)["total_dollars"] == final
        assert again.credit() <= 25 - Decimal(final)
        assert again.destroy(running).json()["success"] is True
        assert again.rented() not in (gone, running)
    finally:
        again.running.stop()


def test_an_instance_that_was_booting_at_a_kill_boots_on(open_market: Open) -> None:
    site = open_market(boot_seconds=600)
    instance_id = site.rented()
    site.running.kill()
    again = open_site(replace(site.settings, boot_seconds=0.04))
    try:
        assert again.becomes(instance_id, "running")["pid"] is not None
    finally:
        again.running.stop()


def test_a_host_can_destroy_itself_with_its_own_key(open_market: Open, tmp_path: Path) -> None:
    program = """
import os, time, urllib.request
url = f"{os.environ['MARKET_URL']}/api/v0/instances/{os.environ['CONTAINER_ID']}/"
key = {"Authorization": "Bearer " + os.environ["CONTAINER_API_KEY"]}
urllib.request.urlopen(urllib.request.Request(url, method="DELETE", headers=key))
time.sleep(600)
"""
    site = open_market(host_command=(sys.executable, "-c", program))
    created = site.rent(env={"MARKET_URL": site.running.url}).json()
    wait_until(lambda: not site.host(created["new_contract"])["exists"])
    wait_until(lambda: not processes_with(created["instance_api_key"]))


@pytest.mark.parametrize("program", [["stack.marketplace"], ["cli.main", "marketplace"]])
def test_alone_it_prints_one_line_of_json_and_forgets_all(
    program: list[str], tmp_path: Path
) -> None:
    child = psutil.Popen(
        [sys.executable, "-m", *program, "--no-rate-limits"],
        env={**plain_environment(), "TMPDIR": str(tmp_path)},
        cwd=Path(__file__).resolve().parents[3],
        stdout=-1,
        stderr=-1,
        text=True,
    )
    said = json.loads(child.stdout.readline())
    assert set(said) == {"url", "api_key", "rehearsal_key"}
    child.terminate()
    rest, warned = child.communicate(timeout=120)
    assert rest == ""
    assert "rehearsal, no money" in warned
    assert child.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_or_a_wrong_fault_is_one_clear_line(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"on": "create", "kind": "explode"}]')
    child = psutil.Popen(
        [sys.executable, "-m", "stack.marketplace", "--faults", str(faults)],
        env=plain_environment(),
        cwd=Path(__file__).resolve().parents[3],
        stdout=-1,
        stderr=-1,
        text=True,
    )
    said, complained = child.communicate(timeout=120)
    assert said == ""
    assert child.returncode == 1
    assert "no fault 'explode' on create" in complained.splitlines()[-1]
    assert "Traceback" not in complained
