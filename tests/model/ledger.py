"""The ledger: each run of each job command, and each report; what contradicts the promises is noted and raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.model.share import Share
from tests.model.workflow import RuleJob


@dataclass(slots=True)
class Account:
    """What is known of one submission.

    Attributes:
        job: the job of the workflow.
        version: of the job's code.
        running: the job and the restart count that run the job command now.
        runs: all that ever did.
        own_exit: with which exit code the job command has ended by itself, once that is on record.
        was_ordered: whether the order to cancel was there before.
        over: why nothing of it may run any more: its failure was reported, or it was cancelled; empty if it may.
    """

    job: RuleJob
    version: int
    running: tuple[str, int] | None = None
    runs: list[tuple[str, int]] = field(default_factory=list)
    own_exit: int | None = None
    was_ordered: bool = False
    over: str = ""


class Ledger:
    """One account a token.

    Attributes:
        accounts: by token.
        broken: promises that were broken; the client may have caught the exceptions.

    Args:
        share: holds the orders.
        seems_over: returns whether listings have shown a job of a submission as ended.
    """

    def __init__(self, share: Share, seems_over: Callable[[str], bool]) -> None:
        self._share = share
        self._seems_over = seems_over
        self.accounts: dict[str, Account] = {}
        self.broken: list[str] = []

    def require(self, holds: bool, promise: str) -> None:  # noqa: FBT001 - reads as an assertion
        """Note that a promise is broken unless something holds.

        Raises:
            AssertionError: it does not.
        """
        if not holds:
            self.broken.append(promise)
        assert holds, promise

    def open(self, token: str, job: RuleJob) -> None:
        """Begin an account."""
        assert token not in self.accounts
        self.accounts[token] = Account(job, job.version)

    def begins(self, token: str, jobid: str, restart: int) -> None:
        """Note that a job command begins; it may only if it is allowed to."""
        account, run = self.accounts[token], (jobid, restart)
        self.require(account.running is None, f"{token} runs as {account.running} and as {run}")
        self.require(account.own_exit is None, f"{token} runs again as {run} after exit code {account.own_exit}")
        self.require(not account.over, f"{token} runs as {run} after it {account.over}")
        self.require(run not in account.runs, f"{token} runs twice as {run}")
        for other, sibling in self._siblings(token):
            may_run_on = bool(sibling.over) or self._share.spool.claimed_by(other) is None
            self.require(sibling.running is None or may_run_on, f"{token} runs beside {other}")
            self.require(not self._serves(other, account), f"{token} does again what {other} has done")
        account.job.output.unlink(missing_ok=True)
        account.running = run
        account.runs.append(run)

    def ends(self, token: str, jobid: str, restart: int, code: int | None) -> None:
        """Note that a job command has ended; by itself where there is a code."""
        assert self.accounts[token].running == (jobid, restart)
        self.accounts[token].running = None
        if code == 0:
            self.accounts[token].job.output.touch()

    def records(self, token: str, code: int) -> None:
        """Note that it is on record how a job command has ended by itself."""
        account = self.accounts[token]
        account.own_exit, account.was_ordered = code, self._share.is_cancel_ordered(token)

    def close(self, token: str, why: str) -> None:
        """Note that nothing of a submission may run any more."""
        self.accounts[token].over = why

    def report(self, job: RuleJob, what: str) -> None:
        """Note a report; each kind comes once, and nothing after an end."""
        self.require(what not in job.reports, f"{job.name} is reported twice as {what}")
        self.require(not job.has_ended, f"{job.name} is reported as {what} after {job.reports}")
        job.reports.append(what)

    def check_orders(self) -> None:
        """Check that what must not run does not, now that it had time to look."""
        late = [token for token, account in self.accounts.items() if account.over and account.running]
        self.require(not late, f"{late} run on after they {[self.accounts[token].over for token in late]}")

    def _serves(self, token: str, account: Account) -> bool:
        """Return whether a submission has done what another is about to do, and nothing made it look as if not."""
        known = self.accounts[token]
        is_done = known.own_exit == 0 and known.version == account.version and account.job.output.exists()
        return is_done and not (known.over or known.was_ordered or self._seems_over(token))

    def _siblings(self, token: str) -> list[tuple[str, Account]]:
        job = self.accounts[token].job
        return [(other, found) for other, found in self.accounts.items() if found.job is job and other != token]
