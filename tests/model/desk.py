"""The submitting machine: Snakemake with the real client, spool, journal and run, stepped by a simulated clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from snakemake_executor_plugin_frceapi.admission import Admission
from snakemake_executor_plugin_frceapi.auth import NegotiateAuth
from snakemake_executor_plugin_frceapi.cancel import Canceller
from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.departure import Departure
from snakemake_executor_plugin_frceapi.errors import FrceapiError, TicketFault
from snakemake_executor_plugin_frceapi.jobscript import RunSettings
from snakemake_executor_plugin_frceapi.journal import Journal
from snakemake_executor_plugin_frceapi.preparation import Preparation
from snakemake_executor_plugin_frceapi.recovery import take_over
from snakemake_executor_plugin_frceapi.resources import RequestDefaults
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.threads import Loop, Threads
from snakemake_executor_plugin_frceapi.tracker import Graces
from snakemake_executor_plugin_frceapi.wire import Encoding, encode_request
from tests.carrying import Carried
from tests.model.fuse import Crash, Fuse
from tests.model.ledger import Ledger
from tests.model.service import Service
from tests.model.share import Share
from tests.model.workflow import RuleJob
from tests.submissions import a_policy

POLICY = a_policy(
    graces=Graces(marker=90.0, requeue=600.0, kill_wait=264.0, window=7200.0),
    interval_seconds=30.0,
    first_delay_seconds=5.0,
    outage_seconds=20_000.0,
)
SUBMITTER, POLLER = "frceapi-submit-0", "frceapi-status"


class Ticket(NegotiateAuth):
    """A Kerberos ticket that comes and goes."""

    def __init__(self) -> None:
        super().__init__("localhost", None)
        self.is_valid = True

    def __call__(self, url: str) -> str:  # noqa: ARG002 - there is one service
        """Return a token, if there is a ticket."""
        if not self.is_valid:
            raise TicketFault("the Kerberos ticket expired: type `kinit`")
        return "Negotiate YQ=="


class TicketClient(Client):
    """The real client, but for where its ticket comes from.

    Attributes:
        ticket: the user's ticket.
    """

    def __init__(self) -> None:
        super().__init__(ClientConfig("http://localhost/hpcapi", auth="none"))
        self.ticket = Ticket()

    def _auth(self) -> NegotiateAuth:
        return self.ticket


class _Orders(Canceller):
    """Writes the orders and waits for nothing: the cluster has its own time, and no `scancel`."""

    def __init__(self, client: Client, spool: Spool) -> None:
        super().__init__(client, spool, lambda request, text: encode_request(request, text, Encoding()), 0.0)
        self._orders = spool

    def order(self, submissions: Sequence[Submission], _: Iterable[str] = ()) -> Thread:
        """Write the orders."""
        for item in submissions:
            self._orders.order_cancel(item.token)
        return Thread()

    def cancel(self, submissions: Sequence[Submission]) -> list[Submission]:
        """Write the orders, and see nothing end."""
        self.order(submissions)
        return list(submissions)


@dataclass(slots=True)
class _Snakemake:
    """One process of Snakemake, from its start to its end."""

    journal: Journal
    run: Run
    preparation: Preparation
    admission: Admission
    departure: Departure
    loops: dict[str, Loop]


@dataclass(slots=True)
class Desk:
    """The submitting machine.

    Attributes:
        top: where outputs and logs are written.
        client: speaks to the API.
        share: the shared file system.
        service: the API.
        ledger: is told what is reported.
        clock: returns the simulated time in seconds.
        allows_failure: returns whether a failure of a submission may be reported.
        fuse: ends Snakemake in the middle of something.
        jobs: the jobs of the workflow.
        said: lines that the user has read.
        snakemake: the process that runs now.
    """

    top: Path
    client: TicketClient
    share: Share
    service: Service
    ledger: Ledger
    clock: Callable[[], float]
    allows_failure: Callable[[str], bool]
    fuse: Fuse = field(default_factory=Fuse)
    jobs: list[RuleJob] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    snakemake: _Snakemake | None = None

    def start(self) -> None:
        """Start Snakemake, unless the service cannot be used."""
        assert self.snakemake is None
        for job in self.jobs:
            job.reports.clear()
        with self._process():
            try:
                self.service.expects = "GET"
                listing = self.client.query_status()
                journal, legacy = take_over(self.share.spool)
            except FrceapiError:
                return
            legacy.note_listing(listing)
            loops: dict[str, Loop] = {}
            threads = Threads(self.clock, lambda loop, name: loops.update({name: loop}))
            run = Run(Carried(self.client), self.share.spool, journal, POLICY, self, threads)
            preparation = self._preparation(run)
            orders = _Orders(self.client, self.share.spool)
            departure = Departure(run, orders, self.share.spool, self.say, leave=False)
            admission = Admission(legacy, preparation, run, orders, lambda _: None, self.say)
            self.snakemake = _Snakemake(journal, run, preparation, admission, departure, loops)
            for job in self.jobs:
                if job.is_due:
                    self._hand_over(self.snakemake, job)
            self._round(self.snakemake)

    def submit(self, job: RuleJob) -> None:
        """Hand over a job of the workflow, now or when Snakemake starts."""
        job.reports.clear()
        if job not in self.jobs:
            self.jobs.append(job)
        with self._process():
            if self.snakemake:
                self._hand_over(self.snakemake, job)

    def send(self) -> None:
        """Send what is due."""
        self._step(SUBMITTER, "POST")

    def ask(self) -> None:
        """Ask for the listing if it is time to."""
        self._step(POLLER, "GET")

    def look(self) -> None:
        """Do one round, and let Snakemake record what has ended well."""
        with self._process():
            if self.snakemake:
                self._round(self.snakemake)

    def stop(self) -> None:
        """Stop Snakemake as Ctrl-C does."""
        with self._process():
            if self.snakemake:
                live = [item.token for item in self.snakemake.run.live]
                self._leave(self.snakemake, self.snakemake.departure.stop_early)
                for token in filter(self.share.is_cancel_ordered, live):
                    self.ledger.close(token, "was cancelled")

    def crash(self) -> None:
        """End Snakemake at once."""
        self.fuse.left = None
        self.fuse.close_journals()
        self.service.accepted.clear()
        self.snakemake = None

    def submitted(self, submission: Submission) -> None:
        """Note that a job was taken."""
        self.ledger.require(bool(submission.external_jobid), f"{submission.token} was taken without a number")
        self.ledger.report(submission.job_info, "submitted")

    def succeeded(self, submission: Submission) -> None:
        """Note that a job has ended well, as its job command must have."""
        account = self.ledger.accounts[submission.token]
        is_true = (account.own_exit, account.version) == (0, submission.job_info.version)
        self.ledger.require(is_true, f"{submission.token} is reported as ended well, but is {account}")
        self.ledger.report(submission.job_info, "succeeded")
        submission.job_info.ended_as = submission.token

    def failed(self, submission: Submission, message: str) -> None:
        """Note that a job has failed, for which there must be evidence."""
        self.ledger.require(self.allows_failure(submission.token), f"{submission.token}: {message}")
        self.ledger.report(submission.job_info, "failed")
        self.ledger.close(submission.token, "was reported as failed")
        submission.job_info.state = "failed"

    def say(self, line: str) -> None:
        """Note a line for the user."""
        self.said.append(line)

    warn = say

    @contextmanager
    def _process(self) -> Iterator[None]:
        """Do something in Snakemake's process, which may die in the middle of it."""
        try:
            with self.fuse.process():
                yield
        except Crash:
            self.crash()

    def _step(self, name: str, method: str) -> None:
        self.service.expects = method
        with self._process():
            if self.snakemake and (loop := self.snakemake.loops.get(name)):
                loop.step()

    def _round(self, snakemake: _Snakemake) -> None:
        try:
            snakemake.run.look()
        except FrceapiError:
            self._leave(snakemake, snakemake.departure.give_up)
        else:
            self._settle(snakemake)

    def _leave(self, snakemake: _Snakemake, depart: Callable[[], None]) -> None:
        depart()
        snakemake.departure.close()
        snakemake.journal.close()
        self.crash()

    def _settle(self, snakemake: _Snakemake) -> None:
        for job in self.jobs:
            if job.ended_as:
                job.state = "done"
                token, job.ended_as = job.ended_as, ""
                snakemake.run.note_settled(token)

    def _hand_over(self, snakemake: _Snakemake, job: RuleJob) -> None:
        submission, _ = snakemake.preparation.prepare(job.ready(), job)
        self.ledger.open(submission.token, job)
        snakemake.admission.admit(submission)

    def _preparation(self, run: Run) -> Preparation:
        script = RunSettings(
            directory=Path(), done=Path(), log_directory=Path(), command=(), workdir=self.top, watch_seconds=1
        )
        defaults = RequestDefaults("norm", 100, None)
        return Preparation(self.share.spool, defaults, Encoding(), self.top / "logs", script, run.hold, self.top)
