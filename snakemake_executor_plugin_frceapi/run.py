"""One run of Snakemake: its jobs, from the submission until each one's end is reported.

`Run.look` is one round: outcomes of submissions, then the listing, then end markers, then one verdict for each job
whose verdict may have changed. It is called by one thread only. Nothing here knows Snakemake: who wants the news is a
`Reporter`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any

from snakemake_executor_plugin_frceapi.attendance import Attendance
from snakemake_executor_plugin_frceapi.chronicle import Chronicle
from snakemake_executor_plugin_frceapi.intake import Intake
from snakemake_executor_plugin_frceapi.job import Listing, Unknown, Work
from snakemake_executor_plugin_frceapi.journal import Event, Journal
from snakemake_executor_plugin_frceapi.outage import OutageMonitor
from snakemake_executor_plugin_frceapi.pacing import Pacing
from snakemake_executor_plugin_frceapi.policy import Policy
from snakemake_executor_plugin_frceapi.polling import StatusPoller
from snakemake_executor_plugin_frceapi.ports import Carrier, Reporter
from snakemake_executor_plugin_frceapi.posting import Posting
from snakemake_executor_plugin_frceapi.remarks import Remarks
from snakemake_executor_plugin_frceapi.sightings import Sightings
from snakemake_executor_plugin_frceapi.site_guard import SiteGuard
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission, Submitter
from snakemake_executor_plugin_frceapi.threads import REAL_THREADS, Threads
from snakemake_executor_plugin_frceapi.tidying import Tidying
from snakemake_executor_plugin_frceapi.tracker import Outcome, Verdict, is_over, may_change_by_itself
from snakemake_executor_plugin_frceapi.unknown import unknown_submissions
from snakemake_executor_plugin_frceapi.verdicts import verdicts


class Run:
    """The jobs of one run; its `tidying` removes their run directories.

    Args:
        service: the API, and what does its work around it.
        spool: the run directory.
        journal: what is written down of each submission.
        policy: how the run behaves.
        reporter: who wants the news; called by `look` and `adopt`.
        threads: what sends and asks, and the clock of the run.

    Attributes:
        chronicle: what became of each job.
    """

    def __init__(
        self,
        service: Carrier,
        spool: Spool,
        journal: Journal,
        policy: Policy,
        reporter: Reporter,
        threads: Threads = REAL_THREADS,
    ) -> None:
        self._spool = spool
        self._journal = journal
        self._policy = policy
        self.chronicle = Chronicle(spool, keeps_logs=policy.keep_successful_logs)
        self._reporter = reporter = Attendance(reporter, self.chronicle)
        self._clock = clock = threads.clock
        self._round = threading.RLock()
        self._pacing = Pacing(clock)
        self._live: dict[str, Submission] = {}
        self._waiting: set[str] = set()
        self._listed = -inf
        self.tidying = Tidying(spool, journal, service.clear_away)
        self._remarks = Remarks(spool, reporter.warn)
        self._sightings = Sightings(spool, policy.graces, self._remarks)
        self._verdicts = verdicts(spool, policy.graces, reporter.say, clock)
        self._outages = OutageMonitor(reporter.warn, clock, policy.graces.gap)
        submit = Posting(service.deliver, journal, spool)
        submitter = Submitter(submit, policy.connections, self._outages, self._pacing.wake, threads)
        self._guard = SiteGuard(submitter, spool, reporter.warn)
        self._unknown = unknown_submissions(spool, policy, clock, submitter)
        self._intake = Intake(spool, journal, reporter, self._guard, self._unknown, self.tidying, self._accept)
        self._poller = StatusPoller(
            service.query_status,
            self._wanted,
            policy.interval_seconds,
            policy.first_delay_seconds,
            self._outages,
            self.wake,
            threads,
        )

    @property
    def live(self) -> list[Submission]:
        """The submissions that the API has taken or may have taken, and whose end is not known."""
        return [*self._live.values(), *self._intake.unknown]

    def note_earlier(self, listing: Listing) -> None:
        """Note what was listed before anything was submitted."""
        self._sightings.largest_jobid = listing.largest_jobid

    def submit(self, item: Submission, after: Sequence[Submission] = ()) -> None:
        """Hand over a job; its outcome is reported by a later `look`.

        Args:
            item: its submission.
            after: what earlier runs have submitted to make the same; it is cancelled, and over before the job is sent.
        """
        item.largest_before = self._sightings.largest_jobid
        if after:
            with self._round:
                self._replace(item, after)
        else:
            self._intake.put(item)
        self._pacing.wake(at_once=False)

    def adopt(self, item: Submission, *, has_ended: bool) -> None:
        """Take up what an earlier run has submitted, and report it.

        Args:
            item: its submission.
            has_ended: whether its job is known to have ended well.
        """
        with self._round:
            self._enter(item, has_ended=has_ended)
        self.wake()

    def drop(self, items: Iterable[Submission]) -> None:
        """Forbid jobs to begin that nobody wants any more, and end those that have begun; no end is reported."""
        with self._round:
            for item in items:
                item.is_replaced = True
                self._waiting.update({item.token} & self._live.keys())
        self.wake()

    def share(self, token: str, job_info: Any) -> bool:
        """Let what was adopted serve one more job of the workflow; return False if it is over or is being cancelled."""
        with self._round:
            item = next((item for item in self.live if item.token == token and not item.is_replaced), None)
            if item is not None:
                item.sharers.append(job_info)
                if item.external_jobid:
                    self._reporter.submitted(item)
        return item is not None

    def attach(self, item: Submission, job_info: Any, works: tuple[Work, ...]) -> None:
        """Hand a job that went ahead to Snakemake, which has come to it, with all that is known of it by now.

        Args:
            item: its submission.
            job_info: Snakemake's own record of it.
            works: what it makes, and from what.
        """
        with self._round:
            item.is_ahead, item.job_info = False, job_info
            self.note_works(item, works)
            self._reporter.attach(item)
        self.wake()

    def note_works(self, item: Submission, works: tuple[Work, ...]) -> None:
        """Note what a job that went ahead makes, and from what, so that a later run knows it again."""
        item.works, item.awaited = works, ()
        self._journal.note(Event.ATTACHED, item.token, works=works)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let nothing happen to the jobs meanwhile."""
        with self._round:
            yield

    def hold(self, external_jobids: Collection[str], known: Mapping[str, str]) -> tuple[str, ...]:
        """Keep the run directories of active jobs until the submission that is made of them is over.

        Args:
            external_jobids: numbers of jobs, of other runs and users too.
            known: tokens of some of them by number; only for others all jobs are looked through.

        Returns:
            The tokens of those that are jobs of this run.
        """
        with self._round:
            tokens = [token for jobid, token in known.items() if jobid in external_jobids and token in self._live]
            if others := set(external_jobids) - known.keys():
                tokens += [token for token, item in self._live.items() if item.external_jobid in others]
            self.tidying.hold(tokens)
        return tuple(tokens)

    def note_settled(self, token: str) -> None:
        """Note that Snakemake has recorded a job that ended well; called from any thread, Snakemake's locks held."""
        self.tidying.note_settled(token)

    def note_cancelled(self, token: str) -> None:
        """Note that a job was cancelled and is over."""
        self.chronicle.note_cancelled(token)
        self._journal.note(Event.CANCELLED, token)

    def remove_log(self, item: Submission) -> None:
        """Remove the log of a job that has ended well, unless the user wants to keep it."""
        if not self._policy.keep_successful_logs:
            self.tidying.drop(item.log)

    def wake(self) -> None:
        """End the present `wait` at once."""
        self._pacing.wake()

    def wait(self) -> None:
        """Wait until there is a reason for a look: something happened, or a job may have ended."""
        self._pacing.wait(idle=not self.live)

    def look(self) -> None:
        """Do one round.

        Raises:
            GaveUp: the API has been out of reach for too long; the jobs are left alone.
            SiteUnusable: jobs fail one after another for a reason of the site.
        """
        with self._round, self._pacing.round() as slept:
            self._put_off(slept)
            listing = self._poller.take()
            if listing is not None:
                self._listed = self._clock()
                self._sightings.enter(self._live.values(), listing, self._listed)
                self.chronicle.note_listing()
                self._unknown.note_listing(listing)
            self._intake.settle(self._listed)
            if self._intake.unknown:
                self._poller.wake()
            ended = self._note_ends()
            for token in list(self._live) if listing is not None else [*(self._waiting | ended)]:
                self._conclude(token)
            self.tidying.tidy()
            self._outages.check(self._policy.outage_seconds)
            self._guard.check(len(self._live), quiet=self._unknown.wants_quiet)

    def stop(self, timeout_seconds: float) -> None:
        """Submit nothing more and ask for no more listings.

        What is being sent is waited for, so that `live` is complete afterwards.
        """
        self._poller.stop()
        with self._round:
            self._live.update((item.token, item) for item in self._intake.stop(timeout_seconds))
            self.tidying.tidy()

    def close(self) -> None:
        """End the present `wait` for good, and remove what was kept for twins."""
        self.tidying.close()
        self._intake.close()
        self._pacing.close()

    def _wanted(self) -> Collection[str] | None:
        items = [item for item in self.live if self._policy.follows or item.is_replaced or not item.external_jobid]
        return {item.external_jobid for item in items if item.external_jobid} if items else None

    def _accept(self, item: Submission, external_jobid: str) -> None:
        item.external_jobid = external_jobid
        self._unknown.note_taken(external_jobid)
        if item.posts > 1:
            self.tidying.keep_for_twins(item.token)
        self._reporter.submitted(item)
        self._live[item.token] = item
        self._poller.wake()

    def _enter(self, item: Submission, *, has_ended: bool) -> None:
        """Take up an earlier run's submission where that run has left it."""
        if has_ended:
            self._reporter.submitted(item)
            self._succeed(item)
            self.tidying.release(item.upstream)
            self.tidying.drop(self._spool.done_entry(item.token))
        elif external_jobid := self._spool.claimed_by(item.token) or item.external_jobid:
            self._accept(item, external_jobid)
            if end := self._spool.latest_end(item.token):
                item.note_end(end, self._clock())
            self._waiting.add(item.token)
        else:
            self._intake.take(item, Unknown("the earlier run that submitted it ended before the API had answered"))

    def _replace(self, item: Submission, after: Sequence[Submission]) -> None:
        """Send a job when nothing can run any more of what it replaces; what serves other jobs is only waited for."""
        lives = {live.token: live for live in self.live}
        for old in after:
            live = lives.get(old.token) or self._cancel(old)
            if live is not None:
                live.successors.append(item)
                item.predecessors.add(live.token)
        self._intake.put(item)

    def _cancel(self, old: Submission) -> Submission | None:
        """Order the end of a submission that serves no job, and return it if it may be running."""
        old.is_replaced = True
        if self._verdicts.can_never_begin(old):
            self.note_cancelled(old.token)
            self.tidying.release(old.upstream)
            return None
        old.external_jobid = self._spool.claimed_by(old.token) or old.external_jobid
        self._live[old.token] = old
        self._waiting.add(old.token)
        self._poller.wake()
        return old

    def _put_off(self, slept: float) -> None:
        """Put off what is waited for if nobody has looked for long: that is no time in which nothing came."""
        if slept > 0:
            for item in self.live:
                item.put_off(slept, self._pacing.ended)

    def _note_ends(self) -> set[str]:
        ends = dict(self._spool.new_ends(self._live, lambda token: self._live[token].only_jobid)) if self._live else {}
        for token, end in ends.items():
            self._live[token].note_end(end, self._clock())
        return set(ends)

    def _conclude(self, token: str) -> None:
        item = self._live[token]
        verdict = self._verdicts.of(item)
        if item.is_replaced and self._verdicts.can_never_begin(item):
            self._finish(item, verdict)
        elif verdict.outcome is Outcome.ACTIVE or not self._verdicts.is_stopped(item):
            waits = verdict.outcome is not Outcome.ACTIVE or may_change_by_itself(item.history)
            (self._waiting.add if waits else self._waiting.discard)(token)
        else:
            self._finish(item, verdict)

    def _finish(self, item: Submission, verdict: Verdict) -> None:
        del self._live[item.token]
        self._waiting.discard(item.token)
        if item.is_replaced:
            self.note_cancelled(item.token)
        elif verdict.outcome is Outcome.SUCCEEDED:
            self._succeed(item)
        else:
            self._journal.note(Event.FAILED, item.token)
            self._guard.note_failed(item, self._live.values())
            self._reporter.failed(item, self._verdicts.description(item, verdict))
        self.tidying.drop(self._spool.done_entry(item.token))
        self.tidying.release(item.upstream)
        if is_over(item.history) and (item.is_replaced or verdict.outcome is not Outcome.SUCCEEDED):
            self.tidying.remove(item.token)
        self._intake.release(item)

    def _succeed(self, item: Submission) -> None:
        self._remarks.on_started(item)
        self.tidying.note_ended(item.token)
        self._guard.note_begun()
        self._reporter.succeeded(item)
        self.remove_log(item)
