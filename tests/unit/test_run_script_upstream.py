"""The look of the run script at its upstream jobs: by bash, over the run directories that such jobs leave."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.jobscript import UPSTREAM_EXIT_CODE, RunSettings
from snakemake_executor_plugin_frceapi.tracker import Cause
from tests.waiting import PATIENCE_SECONDS, wait_until
from tests.waiting_node import WaitingNode


def an_end(code: int = 0, cause: str = "own") -> str:
    """The record of an end."""
    return f"id=4 restart=0 exit={code} cause={cause} start=1 end=2 cpu_ticks=3\n"


SIGNAL = an_end(143, "signal")


def leave(directory: Path, **files: str) -> Path:
    """Let an upstream job leave files in its run directory, each at once with its content; ``end_4_0`` is an end."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        part = directory / ".part"
        part.write_text(content)
        part.rename(directory / name.replace("_", "."))
    return directory


class Node(WaitingNode):
    """A node whose job waits for upstream jobs."""

    def after(self, *upstream: Path, seconds: int = 0, command: str = "touch ran; exit 5") -> None:
        """Write the run directory of a job that waits for others."""
        self.write(command, "# run\n", upstream=upstream, upstream_seconds=seconds)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node, whose jobs are ended with the test."""
    settings = RunSettings(
        directory=tmp_path / "token",
        done=tmp_path / "done",
        log_directory=tmp_path / "logs",
        workdir=tmp_path,
        command=[],
        watch_seconds=1,
    )
    node = Node(tmp_path, settings)
    with node.lasting():
        yield node


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A run directory that is not there yet."""
    return tmp_path / "upstream" / "it's $(touch ran) *"


@pytest.mark.parametrize(
    "files",
    [
        {"end_4_0": an_end()},
        {"end_4_9": SIGNAL, "end_4_10": an_end()},
        {"end_4_0": SIGNAL, "end_4_1": an_end(), "end_40_7": an_end(1)},
        {"end_4_0": an_end(76, "upstream"), "end_4_1": an_end()},
        {"end_4_0": an_end(), "control": "# cancel\n"},
    ],
    ids=["one end", "requeued ten times", "ends of a twin", "begun at last", "cancelled afterwards"],
)
def test_begins_when_the_owner_of_the_claim_has_ended_well(files: dict[str, str], node: Node, upstream: Path) -> None:
    """The end with the highest restart counts, by number; ends of other jobs and an order that came later do not."""
    node.after(leave(upstream, **{"claim": "4\n", "control": "# run\n", **files}))

    assert node.run() == 5
    assert node.ended() == (5, Cause.OWN)
    assert node.ran()
    assert node.log() == ""


def not_begun(node: Node, words: str) -> bool:
    """Whether the job has ended without its command, with one line that tells why."""
    assert node.ended() == (UPSTREAM_EXIT_CODE, Cause.UPSTREAM)
    assert node.log() == f"frceapi: upstream job {words}; the job command is not run\n"
    return not node.ran()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"claim": "4\n", "end_4_0": an_end(3)}, "4 ({}) did not succeed: it ended with exit code 3"),
        ({"claim": "4\n", "end_4_0": an_end(143)}, "4 ({}) did not succeed: it ended with exit code 143"),
        (
            {"claim": "4\n", "end_4_0": SIGNAL, "end_4_1": an_end(1)},
            "4 ({}) did not succeed: it ended with exit code 1",
        ),
        ({"claim": "4\n", "end_4_0": an_end(76, "upstream")}, "4 ({}) did not succeed: its own upstream job did not"),
        ({"control": "# cancel\n"}, "unknown ({}) did not succeed: it was cancelled"),
        ({"claim": "4\n", "control": "# cancel\n"}, "4 ({}) did not succeed: it was cancelled"),
        ({"claim": "4\n", "control": "# cancel\n", "end_4_0": SIGNAL}, "4 ({}) did not succeed: it was cancelled"),
        (
            {"claim": "4\n", "control": "# cancel\n", "end_4_0": an_end(143, "cancelled")},
            "4 ({}) did not succeed: it was cancelled",
        ),
    ],
)
def test_ends_at_once_when_an_upstream_job_has_not_succeeded(
    files: dict[str, str], words: str, node: Node, upstream: Path
) -> None:
    """What is known is not waited for: the command is not begun, and the log says what was seen of which job."""
    node.after(leave(upstream, **{"control": "# run\n", **files}), seconds=3600)

    assert node.run() == UPSTREAM_EXIT_CODE
    assert not_begun(node, words.format(upstream))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "unknown ({}) did not succeed: it has not begun"),
        ({"claim": "4", "end_4_0": an_end()}, "unknown ({}) did not succeed: it has not begun"),
        ({"claim": "\n", "end._0": an_end()}, "unknown ({}) did not succeed: it has not begun"),
        ({"claim": "4\n"}, "4 ({}) did not succeed: it has not ended"),
        ({"claim": "4\n", "end_5_0": an_end()}, "4 ({}) did not succeed: it has not ended"),
        ({"claim": "4\n", "end_4_0": an_end().strip()}, "4 ({}) did not succeed: it has not ended"),
        ({"claim": "4\n", "end_4_0_old": an_end()}, "4 ({}) did not succeed: it has not ended"),
        ({"claim": "4\n", "end_4_0": SIGNAL}, "4 ({}) did not succeed: it was ended by a signal from outside"),
    ],
    ids=["nothing", "torn claim", "empty claim", "no end", "end of a twin", "torn end", "another name", "signal"],
)
@pytest.mark.parametrize("control", [{}, {"control": "# run\n"}], ids=["control is not seen", "control"])
def test_ends_when_no_own_end_of_an_upstream_job_appears(
    files: dict[str, str], words: str, control: dict[str, str], node: Node, upstream: Path
) -> None:
    """What is not known is looked for until the time is over; then the command is not begun either."""
    node.after(leave(upstream, **files, **control), seconds=2)

    assert node.run() == UPSTREAM_EXIT_CODE
    assert not_begun(node, f"{words.format(upstream)} (waited 2 s for it)")


def test_begins_when_what_was_hidden_appears(node: Node, upstream: Path) -> None:
    """Directory, claim, an end by a signal and an own end may each come late."""
    node.after(upstream, seconds=3600)
    process = node.start()
    for files in ({"control": "# run\n"}, {"claim": "4\n"}, {"end_4_0": SIGNAL}, {"end_4_1": an_end()}):
        node.wait_for_looks()
        assert not node.ran()
        leave(upstream, **files)

    assert process.wait(PATIENCE_SECONDS) == 5
    assert node.ran()


def test_waits_for_each_of_several(node: Node, tmp_path: Path) -> None:
    """The last one to end lets the command begin; none is looked at again that has succeeded."""
    several = [leave(tmp_path / str(number), claim="4\n") for number in range(3)]
    leave(several[1], end_4_0=an_end())
    node.after(*several, seconds=3600)
    process = node.start()
    node.wait_for_looks()
    leave(several[1], end_4_1=an_end(9))
    leave(several[0], end_4_0=an_end())
    node.wait_for_looks()

    assert not node.ran()
    leave(several[2], end_4_0=an_end())
    assert process.wait(PATIENCE_SECONDS) == 5


def test_ends_at_once_when_one_of_several_has_failed(node: Node, tmp_path: Path) -> None:
    """A failure is not hidden behind another upstream job that has not ended."""
    late, failed = (leave(tmp_path / name, claim="4\n") for name in ("late", "failed"))
    node.after(late, leave(failed, end_4_0=an_end(1)), seconds=3600)

    assert node.run() == UPSTREAM_EXIT_CODE
    assert not_begun(node, f"4 ({failed}) did not succeed: it ended with exit code 1")


def test_names_the_first_of_several_that_do_not_end(node: Node, tmp_path: Path) -> None:
    """One line names one job, and it is one that is waited for."""
    several = [leave(tmp_path / f"up-{number}", claim="4\n") for number in range(3)]
    leave(several[0], end_4_0=an_end())
    node.after(*several)

    assert node.run() == UPSTREAM_EXIT_CODE
    assert not_begun(node, f"4 ({several[1]}) did not succeed: it has not ended (waited 0 s for it)")


def test_obeys_an_order_to_cancel_while_it_waits(node: Node, upstream: Path) -> None:
    """A job that is cancelled in its wait ends as one that was cancelled before it started."""
    node.after(upstream, seconds=3600)
    process = node.start()
    node.wait_for_looks()
    (node.settings.directory / "control").write_text("# cancel\n")

    assert process.wait(PATIENCE_SECONDS) == 143
    assert node.ended() == (143, Cause.CANCELLED)
    assert node.log() == "frceapi: this job was cancelled before its command began\n"


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_records_a_signal_that_comes_while_it_waits(name: str, node: Node, upstream: Path) -> None:
    """The end by a signal from outside is recorded at once, however long the pause is, and the restart looks again."""
    node.pause("600")
    node.after(upstream, seconds=3600)
    process = node.start()
    node.wait_for_looks()
    process.send_signal(getattr(signal, f"SIG{name}"))

    assert process.wait(PATIENCE_SECONDS) == 143
    assert node.ended() == (143, Cause.SIGNAL)
    leave(upstream, claim="4\n", end_4_0=an_end())
    assert node.run(restart=1) == 5
    assert node.ended(restart=1) == (5, Cause.OWN)


def test_forwards_a_signal_after_it_has_waited(node: Node, upstream: Path) -> None:
    """The wait leaves nothing behind that would keep a signal from the job command."""
    command = "trap 'echo got TERM; exit' TERM; touch ran; for try in $(seq 1200); do /bin/sleep 0.05; done"
    node.after(upstream, seconds=3600, command=command)
    process = node.start()
    node.wait_for_looks()
    leave(upstream, claim="4\n", end_4_0=an_end())
    wait_until(node.ran)
    process.terminate()

    assert process.wait(PATIENCE_SECONDS) == 143
    assert node.ended() == (143, Cause.SIGNAL)
    assert "got TERM\n" in node.log()


@pytest.mark.parametrize("restart", [0, 1])
def test_looks_again_after_a_requeue(restart: int, node: Node, upstream: Path) -> None:
    """An end for want of an upstream job is not repeated: nothing was run, and by now the job may have succeeded."""
    node.after(leave(upstream, claim="4\n"))
    assert node.run() == UPSTREAM_EXIT_CODE
    leave(upstream, end_4_0=an_end())

    assert node.run(restart=restart) == 5
    assert node.ended(restart) == (5, Cause.OWN)


def test_repeats_an_own_end_without_a_look(node: Node, upstream: Path) -> None:
    """A job that has ended by itself needs its upstream jobs no more, whose directories may be gone."""
    node.after(leave(upstream, claim="4\n", end_4_0=an_end()))
    assert node.run() == 5
    shutil.rmtree(upstream)

    assert node.run(restart=1) == 5


def test_does_not_look_when_it_was_cancelled(node: Node, upstream: Path) -> None:
    """An order that is there before the start is what counts, whatever the upstream job did."""
    node.after(leave(upstream, control="# cancel\n"))
    (node.settings.directory / "control").write_text("# cancel\n")

    assert node.run() == 143
    assert node.ended() == (143, Cause.CANCELLED)
