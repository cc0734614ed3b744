"""Tests of Slurm dependency expressions."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.dependency import check_expression
from snakemake_executor_plugin_frceapi.errors import JobError

ids = st.lists(st.integers(1, 67_043_328), min_size=1, max_size=4)
clauses = st.builds(
    lambda kind, numbers: ":".join([kind, *map(str, numbers)]),
    st.sampled_from(["after", "afterok", "afterany", "afternotok", "aftercorr"]),
    ids,
)


@pytest.mark.parametrize(
    "text",
    [
        "afterok:101",
        "afterok:101:102",
        "after:101",
        "after:101+5",
        "after:101+5:102+10",
        "after:101:102+10",
        "afterok:1,afterany:2",
        "afternotok:1?aftercorr:2?after:3",
    ],
)
def test_accepts_what_sbatch_documents(text: str) -> None:
    """Each form of sbatch(1) is accepted unchanged."""
    assert check_expression(text) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("singleton", "same name"),
        ("afterok:1,singleton", "same name"),
        ("afterok:1,afterany:2?after:3", "mixes"),
        ("", "not understood"),
        ("101", "not understood"),
        ("afterok", "not understood"),
        ("afterok:", "not understood"),
        ("afterok:0", "not understood"),
        ("afterok:x", "not understood"),
        ("afterok:1+5", "not understood"),
        ("afterok: 1", "not understood"),
        (" afterok:1", "not understood"),
        ("afterok:1\n", "not understood"),
        ("afterok:1,", "not understood"),
        ("afterok:1,,afterok:2", "not understood"),
        ("AFTEROK:1", "not understood"),
        ("afterok:\u0661", "not understood"),
        ("expand:1", "not understood"),
        ("afterok:1;reboot", "not understood"),
    ],
)
def test_refuses_the_rest_with_a_reason(text: str, reason: str) -> None:
    """Anything else is refused in one line that shows the text and says why."""
    with pytest.raises(JobError, match=reason) as caught:
        check_expression(text)

    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(clauses, min_size=1, max_size=4), st.sampled_from(",?"))
def test_accepts_clauses_joined_by_one_separator(parts: list[str], separator: str) -> None:
    """Any clauses joined by one kind of separator are an expression."""
    text = separator.join(parts)

    assert check_expression(text) == text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_accepts_only_harmless_characters(text: str) -> None:
    """Whatever is accepted holds nothing but lower-case letters, digits and the five separators."""
    try:
        accepted = check_expression(text)
    except JobError:
        return

    assert set(accepted) <= set("abcdefghijklmnopqrstuvwxyz0123456789:,?+")
