"""Journals as a run leaves them."""

from __future__ import annotations

import os
from contextlib import closing

from snakemake_executor_plugin_frceapi.journal import Entry, Journal
from snakemake_executor_plugin_frceapi.journal_file import JournalFile


def intend(journal: Journal, entry: Entry) -> None:
    """Write down that a submission is about to be posted, as whoever posts it does.

    Raises:
        OSError: it cannot be written.
    """
    line = journal.announce(entry)
    with closing(JournalFile.open(journal.path)) as file:
        file.append(line)
        file.sync()


def leave(journal: Journal) -> None:
    """Close a journal as the end of its process does, with all that stands in it."""
    os.close(journal._file._descriptor)  # noqa: SLF001 - the end of a run would remove what is not open
