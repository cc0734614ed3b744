"""The jobs of a workflow, as Snakemake knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from snakemake_executor_plugin_frceapi.job import Work
from snakemake_executor_plugin_frceapi.preparation import ReadyJob


@dataclass(slots=True, eq=False)
class RuleJob:
    """One job of the workflow.

    Attributes:
        name: name of its rule.
        output: the file that it makes.
        minutes: its time limit.
        version: of its code.
        attempt: which attempt of it this is, from 1.
        reports: what this Snakemake was told of this attempt, in order.
        ended_as: the submission that has ended well and that Snakemake has not yet recorded.
        state: open, done or failed.
    """

    name: str
    output: Path
    minutes: int | None
    version: int = 1
    attempt: int = 1
    reports: list[str] = field(default_factory=list)
    ended_as: str = ""
    state: str = "open"

    @property
    def is_due(self) -> bool:
        """Whether a Snakemake that starts hands it to the executor."""
        return self.state == "open"

    @property
    def has_ended(self) -> bool:
        """Whether its end was reported to this Snakemake."""
        return bool({"succeeded", "failed"} & set(self.reports))

    def ready(self) -> ReadyJob:
        """Return it as the executor gets it."""
        resources: dict[str, object] = {"slurm_partition": "norm", "mem_mb": 100}
        return ReadyJob(
            name=self.name,
            is_group=False,
            works=(Work(self.name, (str(self.output),), f"version {self.version}"),),
            wildcards={},
            attempt=self.attempt,
            resources=resources | ({"runtime": self.minutes} if self.minutes else {}),
            threads=1,
            jobname=self.name,
            command="true",
            jobscript="#!/bin/sh\ntrue\n",
        )
