"""Everything together, and its clock."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from unittest.mock import patch

from tests.model.cluster import Cluster
from tests.model.desk import POLICY, Desk, TicketClient
from tests.model.evidence import Evidence
from tests.model.ledger import Ledger
from tests.model.network import network
from tests.model.service import Service
from tests.model.share import Share
from tests.model.workflow import RuleJob

TICK_SECONDS = 10.0
_OBEY_SECONDS = 5.0
_FAST = Path("/dev/shm")


class World:
    """A cluster, its API, a network, a shared file system and a Snakemake.

    Attributes:
        now: simulated time in seconds.

    Args:
        client: the real client; it keeps nothing of one world that matters in another.
    """

    def __init__(self, client: TicketClient) -> None:
        self.now = 1000.0
        self._stack = ExitStack()
        top = Path(tempfile.mkdtemp(prefix="model-", dir=_FAST if _FAST.is_dir() else None))
        self._stack.callback(shutil.rmtree, top)
        self.share = Share(top, self.clock)
        self.ledger = Ledger(self.share, self._shows_end)
        self.cluster = Cluster(self.share, self.ledger, self.clock, POLICY.graces.window)
        self.evidence = Evidence(share=self.share, cluster=self.cluster, policy=POLICY, clock=self.clock)
        self.service = Service(self.cluster, self._check_post, self.evidence.note_answer, self.evidence.note_listing)
        self.desk = Desk(top, client, self.share, self.service, self.ledger, self.clock, self.evidence.allows_failure)
        self.service.burn = self.desk.fuse.burn
        self._stack.enter_context(network(self.service.connect))
        self._stack.enter_context(self.desk.fuse.installed())
        tokens = (f"{number:016x}" for number in count())
        self._stack.enter_context(
            patch("snakemake_executor_plugin_frceapi.preparation.new_token", lambda: next(tokens))
        )
        client.ticket.is_valid = True
        self.desk.start()

    def clock(self) -> float:
        """Return the simulated time in seconds."""
        return self.now

    def close(self) -> None:
        """End everything."""
        self.desk.crash()
        self._stack.close()

    def submit(self, minutes: int | None) -> None:
        """Hand a new job of the workflow to Snakemake."""
        name = f"rule{len(self.desk.jobs)}"
        self.desk.submit(RuleJob(name, self.desk.top / f"{name}.txt", minutes))

    def retry(self, job: RuleJob) -> None:
        """Run a job again that has failed; by the time it could start, orders are obeyed."""
        self.pass_time(_OBEY_SECONDS)
        job.state = "open"
        job.attempt += 1
        self.desk.submit(job)

    def restart(self) -> None:
        """Start Snakemake again; it knows nothing of what another run has tried in vain."""
        self.pass_time(_OBEY_SECONDS)
        self.evidence.posts.clear()
        self.desk.start()

    def send(self, fate: str) -> None:
        """Let a submission that is due leave; this becomes of it."""
        self.service.next_submission = fate
        self.desk.send()
        self.service.next_submission = ""

    def pass_time(self, seconds: float) -> None:
        """Let time go by: caches forget, time limits end jobs, running jobs look at their orders."""
        self.now += seconds
        self.share.reveal()
        self.cluster.pass_time()
        self.ledger.check_orders()

    def live(self, seconds: float, tick_seconds: float = TICK_SECONDS) -> None:
        """Let Snakemake do its work for a while."""
        until = self.now + seconds
        while self.now < until:
            self.pass_time(min(tick_seconds, until - self.now))
            self.desk.send()
            self.desk.ask()
            self.desk.look()

    def heal(self) -> None:
        """End all faults."""
        self.service.submission = "accepted"
        self.service.listing = "listed"
        self.desk.client.ticket.is_valid = True
        self.desk.fuse.left, self.desk.fuse.is_disk_full = None, False
        self.share.delay_seconds, self.share.tears = 0.0, False
        self.share.reveal(everything=True)
        for job in self.cluster.jobs:
            job.shown_until = self.now
        while self.service.delayed:
            self.service.deliver(self.service.delayed.pop())

    def finish(self) -> None:
        """Let everything come to its end, and check that it does."""
        self.heal()
        for _ in range(400):
            if not any(job.is_due for job in self.desk.jobs):
                break
            if self.desk.snakemake is None:
                self.restart()
            self.work()
            self.live(60.0, 60.0)
        self.work()
        self.pass_time(_OBEY_SECONDS)
        due = [job.name for job in self.desk.jobs if job.is_due]
        self.ledger.require(not due, f"{due} have no end")

    def work(self) -> None:
        """Let the cluster run all that waits, and end all that runs."""
        for number, job in enumerate(self.cluster.jobs):
            self.cluster.work(job, number % 2)

    def _shows_end(self, token: str) -> bool:
        return self.evidence.shows_end(token)

    def _check_post(self, token: str) -> None:
        """Check what must be true whenever a submission comes in."""
        require, account = self.ledger.require, self.ledger.accounts.get(token)
        require(account is not None and not account.over, f"{token} is posted although it is {account}")
        require(token not in self.service.accepted, f"{token} is posted again although the API has taken it")
        require(self.evidence.may_be_posted(token), f"{token} is posted too soon, or once too often")
        require(self.share.has_job(token), f"{token} is posted before its run directory is there")
