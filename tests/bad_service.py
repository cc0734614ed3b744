"""A service on a bad day: most submissions and half of the status requests go wrong, each in another way."""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.sandbox.faults import Faults

_SEVERE = "Severe error: the backend cannot be reached"


def arm(faults: Faults) -> None:
    """Let half of all submissions and of all status requests go wrong.

    Of the submissions, 30 % are accepted and never answered, 10 % are answered with status code 500 and 10 % with
    text; half of the latter two are accepted all the same. Each fault is drawn by itself.
    """
    faults.drop_after(call="submit_job", probability=0.15)
    faults.drop_after(call="submit_job", probability=0.15, reset=True)
    for after in (False, True):
        faults.status_code(500, call="submit_job", probability=0.05, after=after)
        faults.text(_SEVERE, call="submit_job", probability=0.05, after=after)
    faults.status_code(500, call="query_status", probability=0.2)
    faults.text(_SEVERE, call="query_status", probability=0.1)
    faults.drop_before(call="query_status", probability=0.1)
    faults.drop_after(call="query_status", probability=0.1, reset=True)
    faults.truncate(40, call="query_status", probability=0.1)
