"""The ledger that payloads write: a line as each begins and one as it ends, whoever ran it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def assert_each_once(lines: Iterable[str], outputs: Iterable[str]) -> None:
    """See that each payload began once and ended once, in the job that began it.

    Args:
        lines: ``begin OUTPUT JOBID`` and ``end OUTPUT JOBID``.
        outputs: the outputs, which name the payloads.

    Raises:
        AssertionError: one did not, or there is a payload that nobody asked for.
    """
    runs: dict[str, list[tuple[str, str]]] = {"begin": [], "end": []}
    for line in lines:
        kind, output, external_jobid = line.split()
        runs[kind].append((output, external_jobid))
    begun, once = Counter(output for output, _ in runs["begin"]), Counter(outputs)

    assert begun == once, f"more than once: {begun - once}, not at all: {once - begun}"
    assert sorted(runs["begin"]) == sorted(runs["end"])
