"""The way of submissions to the cluster: each is sent, looked for where nobody answered, and handed on or reported."""

from __future__ import annotations

from collections.abc import Callable

from snakemake_executor_plugin_frceapi.job import Accepted, Refused, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.journal import Event, Journal
from snakemake_executor_plugin_frceapi.ports import Reporter
from snakemake_executor_plugin_frceapi.site_guard import SiteGuard
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tidying import Tidying
from snakemake_executor_plugin_frceapi.unknown import UnknownSubmissions


class Intake:
    """Takes submissions until the API has taken or refused them.

    Args:
        spool: the run directory.
        journal: what is written down of each submission.
        reporter: who wants the news.
        guard: keeps the submitter that sends them.
        unknown: looks for those without an answer.
        tidying: removes the run directories of those that never arrived.
        accept: is given each that the API has taken, and its external jobid.
    """

    def __init__(
        self,
        spool: Spool,
        journal: Journal,
        reporter: Reporter,
        guard: SiteGuard,
        unknown: UnknownSubmissions,
        tidying: Tidying,
        accept: Callable[[Submission, str], None],
    ) -> None:
        self._spool = spool
        self._journal = journal
        self._reporter = reporter
        self._guard = guard
        self._submitter = guard.submitter
        self._unknown = unknown
        self._tidying = tidying
        self._accept = accept
        self._told: set[tuple[str, str]] = set()
        self._sent_again: set[str] = set()

    @property
    def unknown(self) -> list[Submission]:
        """Those that may have arrived."""
        return self._unknown.items

    def put(self, item: Submission) -> None:
        """Send a submission as soon as nothing that it waits for is left."""
        if not item.predecessors:
            self._submitter.put(item)

    def release(self, item: Submission) -> None:
        """Send what waited for a submission that is over now."""
        for successor in item.successors:
            successor.predecessors.discard(item.token)
            self.put(successor)

    def settle(self, listed: float) -> None:
        """Deal with what has come of submissions.

        Args:
            listed: when the last valid listing came.
        """
        for item, outcome in self._submitter.outcomes():
            self.take(item, outcome)
        for item, owner in self._unknown.found():
            self._arrived(item, owner)
        for item in self._unknown.due(listed):
            self._send_again(item)

    def take(self, item: Submission, outcome: SubmitOutcome) -> None:
        """Deal with what has come of one submission."""
        match outcome:
            case Accepted(external_jobid):
                self._unknown.remove(item)
                self._guard.note_accepted()
                self._accept(item, external_jobid)
            case Unknown(message):
                self._unknown.add(item)
                self._tell("unknown", item, f"Nobody knows whether a job of rule {item.rule} was submitted: {message}")
            case Refused():
                self._refuse(item, outcome)

    def stop(self, timeout_seconds: float) -> list[Submission]:
        """Send nothing more, wait for what is being sent, and return what the API has taken last."""
        unsent = self._submitter.stop(timeout_seconds)
        accepted = []
        for item, outcome in self._submitter.outcomes():
            match outcome:
                case Accepted(external_jobid):
                    self._unknown.remove(item)
                    item.external_jobid = external_jobid
                    accepted.append(item)
                case Refused() if item.posts == 1:
                    self._journal.note(Event.REFUSED, item.token)
                    self._tidying.remove(item.token)
                case _:
                    unsent.append(item)
        for item in unsent:
            if item.posts:
                self._unknown.add(item)
            else:
                self._tidying.remove(item.token)
        return accepted

    def close(self) -> None:
        """Tell how many submissions may have become several jobs, which a user finds in Slurm's own lists."""
        if many := len(self._sent_again):
            what = "1 submission was" if many == 1 else f"{many} submissions were"
            self._reporter.say(
                f"{what} sent again for want of an answer. Where more than one job arrived, one ran the job command, "
                "and the others ended at once with exit code 75, which is no failure."
            )

    def _arrived(self, item: Submission, owner: str) -> None:
        self._unknown.remove(item)
        self._guard.note_accepted()
        self._journal.note(Event.ACCEPTED, item.token, external_jobid=owner)
        if item.row:
            item.row.add(owner)
        self._reporter.say(f"A job of rule {item.rule} was submitted after all, as job {owner}.")
        self._accept(item, owner)

    def _refuse(self, item: Submission, refused: Refused) -> None:
        """Fail a job that the API does not take, unless an earlier post of it has arrived."""
        if owner := self._spool.claimed_by(item.token):
            self._arrived(item, owner)
            return
        if item.posts == 1:
            self._tidying.remove(item.token)
        elif not self._spool.order_cancel(item.token):
            self._unknown.add(item)  # an earlier post of it may still begin
            return
        text = f"The job was not submitted to partition '{item.request.partition}': {refused.message}\n"
        self._guard.note_refused(refused)
        self._fail(item, Event.REFUSED, text)

    def _send_again(self, item: Submission) -> None:
        if self._unknown.may_send_again(item):
            text = f"A job of rule {item.rule} has left no trace; it is submitted again under its token."
            self._tell("again", item, text)
            self._sent_again.add(item.token)
            self._submitter.put(item)
            return
        if not self._spool.order_cancel(item.token):
            self._unknown.add(item)
            return
        self._guard.note_lost()
        text = f"The outcome of its submission is unknown: {self._unknown.why_given_up(item)}.\n"
        self._fail(item, Event.FAILED, text)

    def _tell(self, kind: str, item: Submission, line: str) -> None:
        """Tell the user, once for each rule: a service that loses answers would fill the screen."""
        if (kind, item.rule) not in self._told:
            self._told.add((kind, item.rule))
            self._reporter.warn(line)

    def _fail(self, item: Submission, event: Event, text: str) -> None:
        self._unknown.remove(item)
        self._tidying.release(item.upstream)
        self._journal.note(event, item.token)
        self._reporter.failed(item, text)
        self.release(item)
