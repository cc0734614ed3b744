"""Delivers parcels: what is written down before and after one POST, and that POST."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import Accepted, NotSent, Refused, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.journal import Event
from snakemake_executor_plugin_frceapi.journal_file import JournalFile, line_of
from snakemake_executor_plugin_frceapi.parcel import Parcel


class Deliveries:
    """Delivers parcels; whatever happens to this process or to Snakemake's, a later run can tell what may have arrived.

    First the intent is in the journal, then the run directory is there, then the body leaves. Where one of the first
    two cannot be written, nothing leaves, and it can be tried again when there may be space again. Its methods may be
    called from any thread.

    Args:
        submit: posts one body.
        is_wanted: returns whether the run that wants it lives. Once it has ended, a later run may read the journal at
            any time, so nothing leaves whose intent may come too late for that.
    """

    def __init__(self, submit: Callable[[bytes], SubmitOutcome], is_wanted: Callable[[], bool] = lambda: True) -> None:
        self._submit = submit
        self._is_wanted = is_wanted
        self._journals: dict[str, JournalFile] = {}
        self._lock = threading.Lock()

    def deliver(self, parcel: Parcel) -> SubmitOutcome:
        """Post a job once, and write down what has come of it."""
        try:
            journal = self._journal(parcel.journal)
            journal.append(parcel.intent)
            journal.sync()
            if parcel.run_directory:
                parcel.run_directory.write()
        except UnicodeError as error:
            return Refused("run_directory", str(error))
        except OSError as error:
            outcome: SubmitOutcome = NotSent(TransientFault(cannot_be_written(error)))
        else:
            outcome = self._submit(parcel.body) if self._is_wanted() else NotSent(TransientFault("the run is over"))
        self._note(outcome, parcel)
        return outcome

    def close(self) -> None:
        """Close the journals."""
        with self._lock:
            while self._journals:
                self._journals.popitem()[1].close()

    def _note(self, outcome: SubmitOutcome, parcel: Parcel) -> None:
        if line := _line(outcome, parcel):
            with suppress(OSError):  # what cannot be written a later run finds out by itself, from the run directory
                self._journal(parcel.journal).append(line)
        if isinstance(outcome, Accepted) and parcel.row:
            parcel.row.add(outcome.external_jobid)

    def _journal(self, path: str) -> JournalFile:
        with self._lock:
            if path not in self._journals:
                self._journals[path] = JournalFile.open(path)
            return self._journals[path]


def cannot_be_written(error: OSError) -> str:
    """Return the line for a user that says what keeps submissions from being written down."""
    where = f"{error.filename} cannot be written" if error.filename else "The run directory cannot be written"
    return f"{where} ({error.strerror}); nothing is submitted until there is space and a right to write"


def _line(outcome: SubmitOutcome, parcel: Parcel) -> bytes:
    """Return what a journal says of an outcome, nothing for a refusal: what that means is decided in the round."""
    match outcome:
        case Accepted(external_jobid):
            return line_of(Event.ACCEPTED, token=parcel.token, external_jobid=external_jobid)
        case Unknown(message):
            return line_of(Event.UNKNOWN, token=parcel.token, message=message)
        case NotSent():
            return line_of(Event.NOT_SENT, token=parcel.token, posts=parcel.posts - 1)
        case _:
            return b""
