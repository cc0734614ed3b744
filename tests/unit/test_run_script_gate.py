"""The wait of the run script at its gate: by bash, over an order and a heartbeat that a client rewrites in place."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.jobscript import TWIN_EXIT_CODE, UPSTREAM_EXIT_CODE, RunSettings
from snakemake_executor_plugin_frceapi.markers import parse_start
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tracker import Cause
from tests.waiting import PATIENCE_SECONDS, wait_until
from tests.waiting_node import WaitingNode

GOES_ON = "frceapi: Snakemake, which lets this job begin, was silent for 3 s; the job goes on by itself\n"


@dataclass
class Node(WaitingNode):
    """A node whose job waits at its gate.

    Attributes:
        beats: how often the heartbeat was written.
    """

    beats: int = 0

    def submit(self, command: str = "touch ran; exit 5", *, order: str = "# gate\n", **settings: object) -> None:
        """Write the run directory of a job that runs a command, with an order."""
        self.write(command, order, **settings)

    def order(self, word: str) -> None:
        """Rewrite the order in place."""
        (self.directory / "control").write_text(word)

    def beat(self) -> None:
        """Rewrite the heartbeat."""
        self.beats += 1
        (self.top / "heartbeat").write_text(f"{self.beats}\n")

    def start_and_look(self, restart: int = 0) -> subprocess.Popen[bytes]:
        """Start the job and wait until it has looked at its gate."""
        (self.top / "slept").unlink(missing_ok=True)
        process = self.start(restart=restart)
        wait_until((self.top / "slept").exists)
        return process

    def begun(self) -> float:
        """When the run script began, in seconds of the epoch."""
        start = parse_start((self.directory / "started").read_text())
        assert start is not None
        return float(start.given["start"])

    def stop_at_looks(self) -> None:
        """Let each pause between two looks last until `step`."""
        sleep = self.top / "bin" / "sleep"
        step = f"until rm '{self.top}/step' 2>/dev/null; do /bin/sleep 0.01; done"
        sleep.write_text(f"#!/bin/sh\n: >'{self.top}/slept'\n{step}\n")

    def step(self) -> None:
        """End the pause in which the job is."""
        (self.top / "slept").unlink()
        (self.top / "step").touch()

    def look(self, count: int = 1) -> None:
        """Let the job look so often."""
        for _ in range(count):
            self.step()
            wait_until((self.top / "slept").exists)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node, whose jobs are ended with the test; a heartbeat that stays the same is never silent long enough."""
    settings = RunSettings(
        directory=tmp_path / "it's $(touch ran) *",
        done=tmp_path / "done",
        log_directory=tmp_path / "logs",
        workdir=tmp_path,
        command=[],
        watch_seconds=1,
        gate_pause_seconds=1,
        heartbeat=tmp_path / "heartbeat",
        silence_seconds=3600,
        upstream_seconds=0,
    )
    node = Node(tmp_path, settings)
    node.beat()
    with node.lasting():
        yield node


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """The run directory of a job that has begun."""
    directory = tmp_path / "upstream"
    directory.mkdir()
    (directory / "claim").write_text("4\n")
    return directory


def let_end(upstream: Path, code: int = 0) -> None:
    """Let an upstream job end by itself; this record is of a version that knew no gate."""
    (upstream / "end.4.0").write_text(f"id=4 restart=0 exit={code} cause=own start=1 end=2 cpu_ticks=3\n")


def test_begins_when_its_gate_is_opened(node: Node) -> None:
    """Nothing is run before the order says so, and the log shows nothing of the wait."""
    node.submit()
    process = node.start_and_look()
    node.wait_for_looks(3)
    assert process.poll() is None
    assert not node.ran()
    node.order("# run\n")

    assert process.wait(PATIENCE_SECONDS) == 5
    assert node.ran()
    assert node.ended() == (5, Cause.OWN)
    assert node.log() == ""


@pytest.mark.parametrize("order", ["", "\n", "gate", "ga", "# runs\n", "# run it\n", "# canceled\n"], ids=repr)
def test_begins_nothing_on_an_order_that_is_not_run(order: str, node: Node) -> None:
    """An order that cannot be read, whole or at all, is none."""
    node.submit(order=order)
    process = node.start_and_look()
    node.wait_for_looks(2)
    (node.directory / "control").unlink()
    node.wait_for_looks(2)

    assert process.poll() is None
    assert not node.ran()
    node.order("# run\n")
    assert process.wait(PATIENCE_SECONDS) == 5


def test_takes_an_order_that_is_longer_than_the_next(node: Node) -> None:
    """What is left of the former word behind the new one does not matter: the first line counts."""
    node.submit(order="# run\n\n")

    assert node.run() == 5


def test_does_not_wait_at_an_open_gate(node: Node) -> None:
    """A gate that was opened before the job starts takes no time."""
    node.submit(order="# run\n")
    node.pause("600")

    assert node.run() == 5
    assert node.end().gate_seconds == 0
    assert node.end().start == node.begun()


@pytest.mark.parametrize("order", ["# run\n", "# gate\n"])
def test_has_no_gate_without_a_heartbeat(order: str, node: Node) -> None:
    """A job that nobody submitted ahead begins at once and runs no program for the gate; its end says so."""
    node.submit(order=order, heartbeat=None)

    assert node.run() == 5
    assert node.end().gate_seconds == 0
    assert " gate=0 " in (node.directory / "end.7.0").read_text()


def test_counts_its_wait_and_leaves_it_out_of_the_jobs_time(node: Node) -> None:
    """The start that is recorded at the end is when the job was let through, not when its script began."""
    node.submit()
    process = node.start_and_look()
    begun = node.begun()
    time.sleep(2.2)
    opened = time.time()
    node.order("# run\n")
    process.wait(PATIENCE_SECONDS)
    end = node.end()

    assert 2 <= end.gate_seconds <= end.start - begun + 1
    assert begun + 2 < opened <= end.start
    assert end.wall_seconds == end.end - end.start


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_records_a_signal_that_comes_at_the_gate(name: str, node: Node) -> None:
    """The end is recorded at once, however long the pause is; the restart waits again, at an empty log but for that."""
    node.pause("600")
    node.submit()
    process = node.start_and_look()
    begun = node.begun()
    time.sleep(1.2)
    process.send_signal(getattr(signal, f"SIG{name}"))

    assert process.wait(PATIENCE_SECONDS) == 143
    assert node.ended() == (143, Cause.SIGNAL)
    assert node.end().gate_seconds >= 1
    assert node.end().start > begun + 1
    assert not node.ran()

    node.pause("0.05")
    process = node.start_and_look(restart=1)
    node.wait_for_looks(2)
    assert not node.ran()
    node.order("# run\n")
    assert process.wait(PATIENCE_SECONDS) == 5
    assert node.ended(restart=1) == (5, Cause.OWN)


def test_forwards_a_signal_after_the_gate(node: Node) -> None:
    """The wait leaves nothing behind that would keep a signal from the job command."""
    node.submit("trap 'echo got TERM; exit' TERM; touch ran; for try in $(seq 1200); do /bin/sleep 0.05; done")
    process = node.start_and_look()
    node.order("# run\n")
    wait_until(node.ran)
    process.terminate()

    assert process.wait(PATIENCE_SECONDS) == 143
    assert node.ended() == (143, Cause.SIGNAL)
    assert "got TERM\n" in node.log()


def test_obeys_an_order_to_cancel_at_the_gate(node: Node) -> None:
    """A job that is cancelled in its wait ends as one that was cancelled before it started."""
    node.submit()
    process = node.start_and_look()
    node.order("# cancel\n")

    assert process.wait(PATIENCE_SECONDS) == 143
    assert node.ended() == (143, Cause.CANCELLED)
    assert node.log() == "frceapi: this job was cancelled before its command began\n"
    assert not node.ran()


def test_obeys_an_order_to_cancel_before_the_gate(node: Node) -> None:
    """A job that was cancelled before it starts does not come to its gate."""
    node.submit(order="# cancel\n")
    node.pause("600")

    assert node.run() == 143
    assert node.ended() == (143, Cause.CANCELLED)
    assert node.end().gate_seconds == 0


def test_ends_when_its_run_directory_is_removed(node: Node, upstream: Path) -> None:
    """Nobody waits for it: it ends at the second look, at no upstream job, and records nothing."""
    node.stop_at_looks()
    node.submit(upstream=[upstream], upstream_seconds=3600)
    process = node.start_and_look()
    node.directory.rename(node.top / "hidden")
    node.look()
    node.step()

    assert process.wait(PATIENCE_SECONDS) == 74
    assert node.log() == f"frceapi: the run directory {node.directory} was removed; nothing is run\n"
    assert not node.ran()
    assert not node.settings.done.exists()


def test_stays_where_its_run_directory_is_hidden_for_a_moment(node: Node) -> None:
    """One look that finds nothing is none: a file system may say so wrongly."""
    node.stop_at_looks()
    node.submit()
    process = node.start_and_look()
    hidden = node.top / "hidden"
    for _ in range(3):
        node.directory.rename(hidden)
        node.look()
        hidden.rename(node.directory)
        node.look()
    node.order("# run\n")
    node.step()

    assert process.wait(PATIENCE_SECONDS) == 5


def test_goes_on_by_itself_when_the_client_is_silent(node: Node, upstream: Path) -> None:
    """Behind upstream jobs that have ended well the job begins when the heartbeat stays the same; its log says why."""
    let_end(upstream)
    node.submit(silence_seconds=3, upstream=[upstream])

    assert node.run() == 5
    assert node.ran()
    assert node.ended() == (5, Cause.OWN)
    assert node.log() == GOES_ON
    assert (node.top / "heartbeat.silent").read_text() == (node.top / "heartbeat").read_text()


def test_goes_on_at_once_where_another_job_has_waited_in_vain(node: Node) -> None:
    """A whole chain behind a client that is gone waits for its heartbeat only once."""
    (node.top / "heartbeat.silent").write_text((node.top / "heartbeat").read_text())
    node.submit(silence_seconds=3600)

    assert node.run() == 5
    assert "goes on by itself" in node.log()


def test_waits_where_the_client_has_come_back(node: Node) -> None:
    """A silence that is over counts for nothing."""
    (node.top / "heartbeat.silent").write_text((node.top / "heartbeat").read_text())
    node.beat()
    node.stop_at_looks()
    node.submit(silence_seconds=3600)
    process = node.start_and_look()
    node.look(2)
    assert not node.ran()
    node.order("# run\n")
    node.step()

    assert process.wait(PATIENCE_SECONDS) == 5
    assert node.log() == ""


def test_looks_less_often_after_a_while(node: Node) -> None:
    """A hundred short pauses come first, then long ones; the silence counts what each has lasted."""
    pauses = node.top / "pauses"
    (node.top / "bin" / "sleep").write_text(f"#!/bin/sh\necho $1 >>'{pauses}'\n")
    node.submit(gate_pause_seconds=0.2, watch_seconds=2, silence_seconds=24)

    assert node.run() == 5
    at_gate = [pause for pause in pauses.read_text().split() if "." in pause]
    assert at_gate == ["0.2"] * 100 + ["2.0"] * 2


@pytest.mark.parametrize("looks_before", [0, 1])
@pytest.mark.parametrize("beat", ["missing", "directory", "torn"])
def test_takes_a_heartbeat_that_it_cannot_read_for_silence(beat: str, looks_before: int, node: Node) -> None:
    """A heartbeat that is not there, or not whole, is not another one, at first or after one that was read."""
    node.stop_at_looks()
    node.submit(silence_seconds=3)
    heartbeat = node.top / "heartbeat"
    if looks_before:
        process = node.start_and_look()
        node.look()
    heartbeat.unlink()
    if beat == "directory":
        heartbeat.mkdir()
    elif beat == "torn":
        heartbeat.write_text("2")
    if not looks_before:
        process = node.start_and_look()
        node.look()
    node.look()
    node.step()

    assert process.wait(PATIENCE_SECONDS) == 5
    assert node.log() == GOES_ON


@pytest.mark.parametrize(
    ("code", "words"), [(1, "it ended with exit code 1"), (None, "it has not ended (waited 0 s for it)")]
)
def test_begins_nothing_after_silence_without_good_upstream(
    code: int | None, words: str, node: Node, upstream: Path
) -> None:
    """Silence opens the gate to no job whose upstream job has failed or has not ended."""
    if code is not None:
        let_end(upstream, code)
    node.submit(silence_seconds=3, upstream=[upstream])

    assert node.run() == UPSTREAM_EXIT_CODE
    assert node.ended() == (UPSTREAM_EXIT_CODE, Cause.UPSTREAM)
    assert node.log() == (
        GOES_ON + f"frceapi: upstream job 4 ({upstream}) did not succeed: {words}; the job command is not run\n"
    )
    assert not node.ran()


def test_begins_nothing_at_an_open_gate_without_good_upstream(node: Node, upstream: Path) -> None:
    """The upstream jobs are looked at after the gate as without one."""
    let_end(upstream, 3)
    node.submit(order="# run\n", upstream=[upstream])

    assert node.run() == UPSTREAM_EXIT_CODE
    assert not node.ran()


def test_does_not_look_at_upstream_jobs_before_the_gate(node: Node, upstream: Path) -> None:
    """What an upstream job does while the gate is closed, an end and another end after it, is not judged yet."""
    node.submit(upstream=[upstream])
    process = node.start_and_look()
    let_end(upstream, 1)
    node.wait_for_looks(2)
    assert process.poll() is None
    let_end(upstream)
    node.order("# run\n")

    assert process.wait(PATIENCE_SECONDS) == 5


def test_waits_while_the_heartbeat_goes_on(node: Node) -> None:
    """Each change begins the silence anew, also of a heartbeat that was away; without a change the job goes on."""
    node.stop_at_looks()
    node.submit(silence_seconds=3)
    process = node.start_and_look()
    for _ in range(3):
        node.look(2)
        node.beat()
        node.look()
    (node.top / "heartbeat").unlink()
    node.look(2)
    node.beat()
    node.look(3)
    assert process.poll() is None
    assert not node.ran()
    node.step()

    assert process.wait(PATIENCE_SECONDS) == 5
    assert node.log() == GOES_ON


def test_counts_no_pause_that_was_cut_short(node: Node) -> None:
    """Silence is what the job has waited for, so a pause that something ended is none."""
    node.submit(silence_seconds=1)
    (node.top / "bin" / "sleep").write_text(f"#!/bin/sh\n: >'{node.top}/slept'\n/bin/sleep 0.05\nexit 1\n")
    process = node.start_and_look()
    node.wait_for_looks(5)

    assert process.poll() is None
    assert not node.ran()


def test_waits_again_after_a_node_failed(node: Node) -> None:
    """A restart without any end of before begins at the top, and the claim is its own."""
    node.submit()
    process = node.start_and_look()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process = node.start_and_look(restart=1)
    node.wait_for_looks(2)
    assert process.poll() is None
    assert not node.ran()
    node.order("# run\n")

    assert process.wait(PATIENCE_SECONDS) == 5
    assert node.ended(restart=1) == (5, Cause.OWN)


def test_does_not_wait_to_repeat_its_own_end(node: Node) -> None:
    """A job that has ended by itself repeats its exit code whatever its order says by then."""
    node.submit(order="# run\n")
    assert node.run() == 5
    (node.top / "ran").unlink()
    node.order("# gate\n")

    assert node.run(restart=1) == 5
    assert not node.ran()


def test_ends_a_twin_before_the_gate(node: Node) -> None:
    """A twin ends at once while the owner of the claim waits, and leaves it alone."""
    node.submit()
    process = node.start_and_look()

    assert node.run(jobid=8) == TWIN_EXIT_CODE
    assert process.poll() is None
    node.order("# run\n")
    assert process.wait(PATIENCE_SECONDS) == 5
    assert node.ended() == (5, Cause.OWN)


@pytest.mark.parametrize(
    ("order", "end"), [(Spool.open_gate, (5, Cause.OWN)), (Spool.order_cancel, (143, Cause.CANCELLED))]
)
def test_understands_what_the_client_writes(
    order: Callable[[Spool, str], bool], end: tuple[int, Cause], node: Node
) -> None:
    """Gate, heartbeat and both orders are read as the run directory's own writer makes them."""
    spool = Spool(node.top / "spool")
    node.settings = replace(
        node.settings,
        directory=spool.job_directory("t"),
        done=spool.done_entry("t"),
        command=["/bin/sh", "-c", "exit 5"],
        heartbeat=spool.heartbeat("run-1"),
        silence_seconds=2,
    )
    spool.run_directory("t", "job", "", node.settings.render(), gated=True).write()
    (node.directory / "run.sh").write_text(spool.launcher("t"))
    node.stop_at_looks()
    process = node.start_and_look()
    for count in range(8, 13):
        assert spool.write_heartbeat("run-1", count)
        node.look()
    assert process.poll() is None
    assert order(spool, "t")
    node.step()

    assert process.wait(PATIENCE_SECONDS) == end[0]
    assert node.ended() == end
