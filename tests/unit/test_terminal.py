"""``frceapi jobs --watch`` and ``frceapi doctor`` in a real terminal: what stands on the screen."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.job_table import job_row
from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig
from tests.raw_server import RawServer, answer, say
from tests.terminal import Terminal, in_terminal

FRCEAPI = Path(sys.executable).with_name("frceapi")
SIZES = pytest.mark.parametrize(("columns", "lines"), [(80, 24), (160, 40)])
JOBS = 60

Open = Callable[..., AbstractContextManager[Terminal]]


def listing(done: int) -> bytes:
    """Return an answer that lists many jobs, of which some are done, twelve run and the others wait."""
    states = ["COMPLETED"] * done + ["RUNNING"] * 12 + ["PENDING"] * (JOBS - done - 12)
    document: dict[str, object] = {"status": "call_success", "reason": "query_success"}
    for number, state in enumerate(states):
        began = {} if state == "PENDING" else {"start": "2025-01-27T15:24:32", "end": "2025-02-01T15:24:32"}
        document[str(4_000_000 + number)] = {"state": state, "partition": "norm", **began}
    return answer(json.dumps(document).encode())


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Run ``frceapi`` in a terminal, in a directory whose runs know the jobs."""
    table = tmp_path / ".snakemake" / "frceapi_logs" / "jobs.tsv"
    table.parent.mkdir(parents=True)
    for number in range(JOBS):
        wildcards = {"sample": f"patient-{number:03}-tumour", "lane": f"L{number % 4:03}"}
        logs = Path(".snakemake/frceapi_logs/rule_align_reads")
        job_row(table, "align_reads", wildcards, logs).add(str(4_000_000 + number))

    def open_(*arguments: str, url: str, columns: int, lines: int) -> AbstractContextManager[Terminal]:
        environment = {**os.environ, "SNAKEMAKE_FRCEAPI_URL": url, "LANG": "C.UTF-8"}
        return in_terminal([FRCEAPI, *arguments], columns, lines, tmp_path, environment)

    return open_


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox."""
    with Sandbox(SandboxConfig(directory=tmp_path)) as running:
        yield running


@SIZES
def test_watch_fits_and_refreshes_in_place(opened: Open, columns: int, lines: int) -> None:
    """Nothing leaves the screen at its top, and Ctrl-C leaves the last table and the cursor.

    A refresh that fails takes the lines below the table that it needs, from the table.
    """
    screens, answers = [], [listing(5)]
    with (
        RawServer(lambda connection, _: connection.sendall(answers[-1])) as server,
        opened("jobs", "--watch", "--interval", "2", url=server.url(), columns=columns, lines=lines) as terminal,
    ):
        for text, following in (
            ("5 COMPLETED", listing(9)),
            ("9 COMPLETED", answer(b"", "503 No")),
            ("it cannot work at the moment", b""),
        ):
            terminal.shows(text)
            screens.append(terminal.screen)
            answers += [following] if following else []
        exit_code = terminal.interrupt()

        assert [len(screen) for screen in screens] == [lines - 1] * 3
        assert {screen[0] for screen in screens} == {screens[0][0]}
        assert screens[0][0].split()[:3] == ["job", "state", "partition"]
        assert "more above; seen at " in screens[1][-1]
        assert (exit_code, terminal.shows_cursor, terminal.scrolled) == (0, True, [])
        assert terminal.screen[0] == screens[0][0]


def test_watch_keeps_numbers_and_states_whole_in_a_small_terminal(opened: Open) -> None:
    """They are what one types and looks for; wildcards give way."""
    with (
        RawServer(say(listing(9))) as server,
        opened("jobs", "--watch", "--interval", "2", url=server.url(), columns=50, lines=10) as terminal,
    ):
        terminal.shows("9 COMPLETED")
        head, *rows = [line.split() for line in terminal.screen]
        shown = [row[:2] for row in rows if row[0].startswith("4")]
        assert head == ["job", "state", "rule", "wildcards"]
        assert shown == [[str(4_000_015 + number), "RUNNING"] for number in range(6)]

        terminal.resize(columns=120, lines=10)
        terminal.shows("sample=patient-020-tumour,lane=L000")
        assert terminal.interrupt() == 0


@SIZES
def test_doctor_tells_each_step_in_its_place(opened: Open, sandbox: Sandbox, columns: int, lines: int) -> None:
    """Outcome, step and text stand below one another, and a long text goes on below its begin."""
    arguments = ("doctor", "--submit", "-p", "norm")
    with opened(*arguments, url=sandbox.url, columns=columns, lines=lines) as terminal:
        exit_code = terminal.end()
        seen = terminal.scrolled + terminal.screen

    steps, profile = seen[: seen.index("")], seen[seen.index("") :]
    outcomes = {line[:9].strip() for line in steps}
    assert exit_code == 0
    assert outcomes <= {"ok", "note", "skipped", ""}
    assert [line for line in steps if line[:9].strip() and not line[9:26].strip()] == []
    assert [line for line in steps if not line[:9].strip() and line[9:26].strip()] == []
    assert profile[:2] == ["", "For the profile:"]
    assert max(map(len, seen)) <= columns


@SIZES
def test_doctor_names_the_remedy_whole(opened: Open, columns: int, lines: int) -> None:
    """In a narrow terminal as well nothing of what failed is cut."""
    with opened("doctor", url="http://127.0.0.1:9/", columns=columns, lines=lines) as terminal:
        exit_code = terminal.end()
        words = " ".join(" ".join(line[26:] for line in terminal.screen).split())

    assert exit_code == 1
    assert "Connection refused; start the sandbox with `frceapi sandbox`, and check --url" in words
    assert "not tried, because" in words
