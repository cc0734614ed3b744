"""Slurm dependency expressions, as sbatch(1) describes them at ``--dependency``."""

from __future__ import annotations

import re

from snakemake_executor_plugin_frceapi.errors import JobError

_JOB = r"[1-9][0-9]{0,9}"
_CLAUSE = rf"(?:after(?::{_JOB}(?:\+[0-9]{{1,9}})?)+|after(?:ok|any|notok|corr)(?::{_JOB})+)"
_EXPRESSION = re.compile(rf"{_CLAUSE}(?:(?:,{_CLAUSE})*|(?:\?{_CLAUSE})*)")


def check_expression(text: str) -> str:
    """Accept a dependency expression that may be sent as it is.

    Clauses are ``after:ID[+MINUTES][:ID…]`` and ``afterok``, ``afterany``, ``afternotok``, ``aftercorr`` with
    ``:ID[:ID…]``. They are joined by ``,`` (all of them) or by ``?`` (any of them), never by both.

    Returns:
        `text`, unchanged.

    Raises:
        JobError: it is no such expression. ``singleton`` is refused too: it waits for all jobs of the same name and
            user, and the API gives every job of a user the same name.
    """
    if "singleton" in text:
        raise JobError(
            f"dependency {text!r}: 'singleton' would make all of your jobs run one after another, because the API gives"
            " them all the same name; name the job ids instead, such as 'afterany:101:102'"
        )
    if "," in text and "?" in text:
        raise JobError(
            f"dependency {text!r} mixes ',' (all) and '?' (any), which Slurm does not allow; use one of them"
        )
    if not _EXPRESSION.fullmatch(text):
        raise JobError(
            f"dependency {text!r} is not understood; write TYPE:ID[:ID...], joined by ',' or '?' and without spaces,"
            " where TYPE is after, afterok, afterany, afternotok or aftercorr, such as 'afterok:101:102'"
        )
    return text
