"""A process is known by its id and its start time; no other is ever killed."""

import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dev.cluster.command import wait_until
from dev.cluster.errors import NotReadyError
from dev.cluster.processes import RECORDING, ProcessRecord

STAT = "4711 (a (b) c) S 1 4711 " + " ".join(["0"] * 16) + " 98765 0 0"


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def record_of(process: subprocess.Popen) -> ProcessRecord:
    return ProcessRecord.parse(Path(f"/proc/{process.pid}/stat").read_text())


def fake_proc(folder: Path, stat: str) -> Path:
    (folder / "4711").mkdir()
    (folder / "4711" / "stat").write_text(stat)
    return folder


def test_a_name_with_spaces_and_parentheses_is_read():
    assert ProcessRecord.parse(STAT) == ProcessRecord(pid=4711, start_time=98765)


@pytest.mark.parametrize(
    ("stat", "alive"),
    [
        pytest.param(STAT, True, id="the same process"),
        pytest.param(STAT.replace("98765", "99999"), False, id="the id was given to another"),
        pytest.param(STAT.replace(") S", ") Z"), False, id="a zombie"),
    ],
)
def test_alive_means_this_very_process(tmp_path, stat, alive):
    assert ProcessRecord(4711, 98765).alive(fake_proc(tmp_path, stat)) is alive


def test_a_process_that_is_gone_is_not_alive(tmp_path):
    assert not ProcessRecord(4711, 98765).alive(tmp_path)


def test_kill_ends_the_process(sleeper):
    record = record_of(sleeper)

    assert record.kill()
    assert not record.alive()


def test_kill_spares_another_process_with_the_same_id(sleeper):
    record = record_of(sleeper)

    assert not replace(record, start_time=record.start_time - 1).kill()
    assert sleeper.poll() is None


def test_a_process_that_outlives_its_kill_is_an_error(sleeper, monkeypatch):
    record = record_of(sleeper)
    monkeypatch.setattr("signal.pidfd_send_signal", lambda handle, number: None)

    with pytest.raises(NotReadyError, match=f"Process {sleeper.pid} was killed"):
        record.kill(seconds=0.01)


def test_a_stopped_process_goes_on_when_it_is_woken(sleeper):
    stat = Path(f"/proc/{sleeper.pid}/stat")
    sleeper.send_signal(signal.SIGSTOP)
    wait_until(lambda: ") T " in stat.read_text(), what="the stop")

    record_of(sleeper).wake()

    wait_until(lambda: ") S " in stat.read_text(), what="the wake-up")


def test_killing_with_children_waits_for_the_end_of_each(tmp_path):
    shell = 'sleep 60 & echo $! > "$0.part" && mv "$0.part" "$0" && wait'
    parent = subprocess.Popen(["sh", "-c", shell, str(tmp_path / "child")])
    wait_until((tmp_path / "child").exists, what="the child")
    child = ProcessRecord.load(Path("/proc") / (tmp_path / "child").read_text().strip() / "stat")

    record_of(parent).kill_with_children()

    assert child
    assert not child.alive()
    assert parent.wait() < 0


@pytest.mark.parametrize("text", [None, "", "garbage"])
def test_an_unreadable_record_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "record").write_text(text)

    assert ProcessRecord.load(tmp_path / "record") is None


def test_a_recording_command_line_records_the_program_that_it_becomes(tmp_path):
    record = tmp_path / "record"

    done = subprocess.run(
        [*RECORDING, str(record), "sh", "-c", "echo $$"], capture_output=True, text=True, check=True
    )

    loaded = ProcessRecord.load(record)
    assert loaded
    assert loaded.pid == int(done.stdout)
