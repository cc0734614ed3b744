"""How a run ends: its jobs are over, or are cancelled, or are left to run on; and what the user is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from snakemake_executor_plugin_frceapi.cancel import LARGEST_SLURM_JOBID, Canceller
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission

_STOP_SECONDS = 30.0
_MOST_JOBIDS = 50


class Departure:
    """Ends a run, once.

    Args:
        run: the jobs.
        canceller: ends jobs before their time.
        spool: the run directory.
        say: receives lines for the user.
        leave: whether jobs are left to run on when Snakemake is told to stop.
    """

    def __init__(
        self, run: Run, canceller: Canceller, spool: Spool, say: Callable[[str], None], *, leave: bool
    ) -> None:
        self._run = run
        self._canceller = canceller
        self._spool = spool
        self._leave = leave
        self._say = say
        self._begun = False

    @property
    def begun(self) -> bool:
        """Whether the run is ending: no job's end is reported any more."""
        return self._begun

    def stop_early(self) -> None:
        """Stop because the user or the system wants it: cancel the jobs or leave them.

        A second Ctrl-C or signal ends the waiting at once.
        """
        if self._begun:
            return
        self._begun = True
        try:
            self._run.stop(_STOP_SECONDS)
            if not self._leave:
                self._cancel()
            elif self._run.live:
                self._say_left("--frceapi-on-exit is 'leave'")
        except (KeyboardInterrupt, SystemExit):
            for item in self._run.live if not self._leave else ():
                self._spool.order_cancel(item.token)  # it may come before the orders are written, or between two
            self._say_alive(self._run.live)

    def give_up(self) -> None:
        """Stop because this run cannot go on; the jobs are left alone."""
        if not self._begun:
            self._begun = True
            self._run.stop(_STOP_SECONDS)
            self._say_left("this run cannot go on")

    def close(self) -> None:
        """Remove what no job needs any more, at the end of every run."""
        begun, self._begun = self._begun, True
        self._run.stop(_STOP_SECONDS)
        if not begun:
            self._end_unwanted()
        self._run.close()
        if not self._spool.has_jobs():
            self._spool.remove_shared()

    def _end_unwanted(self) -> None:
        """End what went ahead and Snakemake has not come to; no job may write when Snakemake has ended."""
        unwanted = [item for item in self._run.live if item.is_ahead]
        if not unwanted:
            return
        alive = self._canceller.cancel(unwanted)
        self._note_cancelled(unwanted, alive)
        self._say_alive(alive)

    def _note_cancelled(self, items: Sequence[Submission], alive: Sequence[Submission]) -> None:
        left = {item.token for item in alive}
        for item in items:
            if item.token not in left:
                self._run.note_cancelled(item.token)

    def _cancel(self) -> None:
        live = self._run.live
        if not live:
            return
        self._say(f"Cancelling {len(live)} job{'s' if len(live) > 1 else ''}; press Ctrl-C again to stop waiting.")
        begin = time.monotonic()
        alive = self._canceller.cancel(live)
        self._note_cancelled(live, alive)
        if alive:
            self._say_alive(alive)
        else:
            self._say(f"All of them have ended, after {time.monotonic() - begin:.0f} s.")

    def _say_left(self, why: str) -> None:
        jobids = _jobids(self._run.live)
        if jobids:
            left = "1 job is" if len(jobids) == 1 else f"{len(jobids)} jobs are"
            self._say(
                f"{left} left to run on, because {why}: {_shortened(jobids)}. To take them up, start Snakemake again "
                "as before, with --rerun-incomplete."
            )

    def _say_alive(self, items: Sequence[Submission]) -> None:
        jobids = _jobids(items)
        if not jobids:
            return
        many = f"{len(jobids)} job{'s' if len(jobids) > 1 else ''}"
        ends = "; each ends as soon as it sees the order in its run directory"
        line = f"{many} may still be alive{ends if self._spool.is_shared else ', out of reach of this machine'}."
        slurm = [jobid for jobid in jobids if jobid.isdigit() and int(jobid) <= LARGEST_SLURM_JOBID]
        others = [jobid for jobid in jobids if jobid not in slurm]
        if others:
            line += f" {'Among them' if slurm else 'They'} are: {_shortened(others)}."
        if slurm:
            line += f" To end them at once, type on the cluster: scancel {' '.join(slurm)}"
        self._say(line)


def _jobids(items: Sequence[Submission]) -> list[str]:
    """The external jobids by number; a submission without one, which may not have arrived, by its token."""
    known = sorted((item.external_jobid for item in items if item.external_jobid), key=int)
    return known + [f"unknown (token {item.token})" for item in items if not item.external_jobid]


def _shortened(jobids: list[str]) -> str:
    more = len(jobids) - _MOST_JOBIDS
    return ", ".join(jobids[:_MOST_JOBIDS]) + (f" and {more} more" if more > 0 else "")
