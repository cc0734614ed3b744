"""Keeps the secret of a sandbox's URL, which urllib3 writes with each request, and tracebacks out of its log."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from snakemake_executor_plugin_frceapi.client.endpoint import public_url

_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


class PathMask(logging.Filter):
    """Writes the public form of a base URL's path in place of the path."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._path = urlsplit(base_url).path.rstrip("/")
        self._shown = urlsplit(public_url(base_url)).path.rstrip("/")

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record that holds the path, and leave out where in urllib3 something went wrong."""
        text = record.getMessage()
        if self._path and self._path in text:
            record.msg, record.args = text.replace(self._path, self._shown), None
        record.exc_info = None
        return True

    def install(self) -> None:
        """Begin to mask."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        """End it."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self)
