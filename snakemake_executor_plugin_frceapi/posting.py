"""One POST of one submission, with what is written down before and after it."""

from __future__ import annotations

import time
from typing import Protocol

from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import Accepted, NotSent, Refused, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.journal import Event, Journal
from snakemake_executor_plugin_frceapi.submission import Submission


class SubmitCall(Protocol):
    """The call that submits."""

    def __call__(self, body: bytes) -> SubmitOutcome:
        """Send one body."""


class Posting:
    """Posts submissions; whatever happens to this process, a later run can tell what may have arrived.

    First the intent is in the journal, then the run directory is there, then the body leaves. Where one of the first
    two cannot be written, nothing leaves, and it is tried again when there may be space again.

    Args:
        submit: the call.
        journal: this run's journal.
    """

    def __init__(self, submit: SubmitCall, journal: Journal) -> None:
        self._submit = submit
        self._journal = journal

    def __call__(self, item: Submission) -> SubmitOutcome:
        """Post a submission once."""
        try:
            item.posts += 1
            self._journal.intend(item.entry())
            if not item.prepared:
                item.prepare()
                item.prepared = True
        except UnicodeError as error:
            outcome: SubmitOutcome = Refused("run_directory", str(error))
        except OSError as error:
            outcome = NotSent(TransientFault(_cannot_be_written(error)))
        else:
            item.posted = item.posted or time.time()
            outcome = self._post(item.body)
        self._note(item, outcome)
        return outcome

    def _post(self, body: bytes) -> SubmitOutcome:
        try:
            return self._submit(body)
        except Exception as error:  # noqa: BLE001 - what a thread does not catch would lose the job without a word
            return Unknown(f"internal error: {type(error).__name__}: {error}")

    def _note(self, item: Submission, outcome: SubmitOutcome) -> None:
        match outcome:
            case Accepted(external_jobid):
                self._journal.note(Event.ACCEPTED, item.token, external_jobid=external_jobid)
                item.register(external_jobid)
            case Unknown(message):
                self._journal.note(Event.UNKNOWN, item.token, message=message)
            case NotSent():
                item.posts -= 1
                self._journal.note(Event.NOT_SENT, item.token, posts=item.posts)
            case Refused():
                pass  # an earlier post of it may have arrived: what the refusal means is decided in the round


def _cannot_be_written(error: OSError) -> str:
    where = f"{error.filename} cannot be written" if error.filename else "The run directory cannot be written"
    return f"{where} ({error.strerror}); nothing is submitted until there is space and a right to write"
