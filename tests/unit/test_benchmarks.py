"""What benchmarks make of what they have measured; nothing is measured here."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.benchmarks import table
from tests.benchmarks.distance import distant
from tests.benchmarks.fan import requests
from tests.benchmarks.payload import ends
from tests.benchmarks.picture import draw, share
from tests.benchmarks.scenario import Target, Values, Verdict, add, judge
from tests.benchmarks.scenarios import SCENARIOS
from tests.ports import listen

RATIO = Target(text="ours against theirs", of="ours [s]", against="theirs [s]", limit=0.5)
RATE = Target(text="our rate", of="ours [s]", limit=3.0, at_least=True)


def shown(made: Table) -> str:
    """Return a table as text."""
    console = Console(file=io.StringIO(), width=140)
    console.print(made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("target", "values", "value", "is_met"),
    [
        (RATIO, {"ours [s]": [1.0, 9.0, 2.0], "theirs [s]": [4.0]}, 0.5, True),
        (RATIO, {"ours [s]": [1.0, 9.0, 3.0], "theirs [s]": [4.0, 20.0, 10.0]}, 0.3, True),
        (RATIO, {"ours [s]": [2.1], "theirs [s]": [4.0, 4.0]}, 0.525, False),
        (RATIO, {"ours [s]": [1.0]}, None, False),
        (RATIO, {"theirs [s]": [1.0]}, None, False),
        (RATIO, {"ours [s]": [1.0], "theirs [s]": [0.0]}, None, False),
        (RATE, {"ours [s]": [3.0]}, 3.0, True),
        (RATE, {"ours [s]": [2.9]}, 2.9, False),
    ],
)
def test_compares_medians_with_target(target: Target, values: Values, value: float | None, *, is_met: bool) -> None:
    """A ratio is that of two medians, or the median of the rounds' ratios; what was not measured meets no target."""
    (verdict,) = judge([target], values)
    assert verdict.value == (None if value is None else pytest.approx(value))
    assert verdict.is_met is is_met


def test_collects_rounds() -> None:
    """Each round adds one value to each of its quantities."""
    values: Values = {}
    rounds: list[Mapping[str, float]] = [{"a": 1.0, "b": 2.0}, {"a": 3.0}]
    for figures in rounds:
        add(values, figures)
    assert values == {"a": [1.0, 3.0], "b": [2.0]}


def test_tables_show_quantities_with_units_and_verdicts() -> None:
    """A unit in brackets is no markup; each verdict is spelled out."""
    row = shown(table.quantities(SCENARIOS[0], {"ours [s]": [1.0, 3.0, 2.0]})).splitlines()[-1]
    assert row.split() == ["ours", "[s]", "2.00", "1.00", "3.00", "3"]
    verdicts = [Verdict(RATIO, 0.4), Verdict(RATE, 2.0), Verdict(RATIO, None)]
    met, missed, unknown = shown(table.targets({"one": verdicts})).splitlines()[1:]
    assert met.split()[-4:] == ["0.40", "≤", "0.50", "met"]
    assert missed.split()[-5:] == ["2.00", "≥", "3.00", "NOT", "MET"]
    assert unknown.split()[-4:] == ["not", "measured", "≤", "0.50"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.0123, "0.012"), (0.5, "0.50"), (12.345, "12.35"), (12345.6, "12,346")]
)
def test_number_keeps_digits_that_count(value: float, text: str) -> None:
    """Small numbers keep three places, large ones none."""
    assert table.number(value) == text


@pytest.mark.parametrize(
    ("verdict", "part"),
    [
        (Verdict(RATIO, 0.25), 0.5),
        (Verdict(RATE, 6.0), 0.5),
        (Verdict(RATE, 2.0), 1.5),
        (Verdict(RATIO, 0.0), 0.01),
        (Verdict(RATIO, float("inf")), 100.0),
        (Verdict(RATE, None), None),
    ],
)
def test_picture_shows_part_of_what_is_allowed(verdict: Verdict, part: float | None) -> None:
    """Less than 1 keeps the promise, whichever way it is made."""
    assert share(verdict) == part


def test_draws_a_picture(tmp_path: Path) -> None:
    """The picture is a file, also where something was not measured."""
    pytest.importorskip("matplotlib", reason="what the example computes with is not installed")
    assert draw(tmp_path, {"one": [Verdict(RATIO, 0.4), Verdict(RATE, None)]}).stat().st_size > 0


def test_counts_requests_of_a_run() -> None:
    """Requests that got an answer count, with the bytes that came and went; a challenge does not."""
    log = """\
127.0.0.1 - "POST /hpcapi/submit_job HTTP/1.1" 401 612 381
127.0.0.1 someone@NIH.TEST "POST /hpcapi/submit_job HTTP/1.1" 200 612 46
127.0.0.1 someone@NIH.TEST "POST /hpcapi/submit_job HTTP/1.1" 200 600 46
127.0.0.1 someone@NIH.TEST "GET /hpcapi/query_status HTTP/1.1" 200 - 5120
"""
    assert requests(log, 2.0) == {
        "frceapi, submissions": 2,
        "frceapi, largest submission [B]": 612,
        "frceapi, status requests": 1,
        "frceapi, largest listing [B]": 5120,
        "frceapi, part of the status requests that are allowed": 0.25,
    }


def test_reads_ends_of_payload(tmp_path: Path) -> None:
    """The end of a job is read whatever bash takes for the decimal point."""
    (tmp_path / "ends").write_text("out/1 1000.250000\nout/2 1001,500000\n", encoding="ascii")
    assert ends(tmp_path) == {"out/1": 1000.25, "out/2": 1001.5}


def test_scenarios_have_names_of_their_own() -> None:
    """A name on the command line means one scenario."""
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)


def test_distance_passes_on_what_is_sent() -> None:
    """All bytes arrive in their order, both ways, and the end of one side ends the other."""
    sent = bytes(range(256)) * 1000
    with listen() as server, distant(server.getsockname()[1], 0.001) as port:
        echo = threading.Thread(target=_echo, args=(server,))
        echo.start()
        with socket.create_connection(("127.0.0.1", port)) as near:
            near.sendall(sent)
            near.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: near.recv(4096), b""))
        echo.join()
    assert received == sent


def _echo(server: socket.socket) -> None:
    """Send back what comes on one connection."""
    far, _ = server.accept()
    with far:
        far.sendall(b"".join(iter(lambda: far.recv(4096), b"")))
