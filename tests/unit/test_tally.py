"""The line about look-ahead at the end of a run."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_frceapi.tally import Tally


@pytest.mark.parametrize(
    ("tally", "line"),
    [
        (Tally(), ""),
        (
            Tally(went_ahead=3, attached=2, dropped=1),
            "Look-ahead: 3 went ahead, 2 attached, 1 dropped.",
        ),
        (
            Tally(refused={"a": "of x", "b": "of y", "c": "of x"}),
            "Look-ahead: 0 went ahead, 0 attached, 0 dropped; the normal way went 2 because of x, 1 because of y.",
        ),
        (
            Tally(went_ahead=2, attached=2, gate_seconds=[1.0, 4.0]),
            "Look-ahead: 2 went ahead, 2 attached, 0 dropped. Gates held jobs for 5 s in all, 4 s at most.",
        ),
    ],
)
def test_tells_what_there_is_to_tell(tally: Tally, line: str) -> None:
    """Nothing where nothing happened, and the reasons by how often they were given."""
    assert str(tally) == line
