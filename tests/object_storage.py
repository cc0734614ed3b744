"""A storage that speaks S3: moto's server as a process of its own, with one bucket."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.cluster.daemons import Daemon
from tests.ports import free_ports

BUCKET = "bucket"
CREDENTIALS = "[default]\naws_access_key_id = anybody\naws_secret_access_key = anything\n"
"""A credentials file; the server takes any key."""

_SECONDS = 30.0
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=anybody/20260101/us-east-1/s3/aws4_request, Signature=any"}
"""What makes a request that of somebody; the server looks no closer."""


class ObjectStorage:
    """The storage.

    Attributes:
        url: its endpoint.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    @property
    def arguments(self) -> list[str]:
        """The arguments with which Snakemake keeps all files of a workflow in it."""
        options = {
            "--shared-fs-usage": "none",
            "--default-storage-provider": "s3",
            "--default-storage-prefix": f"s3://{BUCKET}/work",
            "--storage-s3-endpoint-url": self.url,
        }
        return [word for pair in options.items() for word in pair]

    def answers(self) -> bool:
        """Whether it serves; the bucket is there from then on."""
        try:
            return self._request("PUT", "").ok
        except requests.ConnectionError:
            return False

    def put(self, name: str, content: bytes) -> None:
        """Store a file as the workflow would."""
        self._request("PUT", f"/work/{name}", content).raise_for_status()

    def read(self, name: str) -> bytes:
        """Return the content of a file of the workflow."""
        answer = self._request("GET", f"/work/{name}")
        answer.raise_for_status()
        return answer.content

    def names(self) -> list[str]:
        """Return the files of the workflow, sorted."""
        listing = self._request("GET", "?list-type=2&prefix=work/").text
        return sorted(re.findall("<Key>work/(.*?)</Key>", listing))

    def _request(self, method: str, path: str, content: bytes | None = None) -> requests.Response:
        url = f"{self.url}/{BUCKET}{path}"
        return requests.request(method, url, data=content, headers=_SIGNED, timeout=_SECONDS)


@contextmanager
def running_object_storage() -> Iterator[ObjectStorage]:
    """Start a storage; it is stopped, and empty, afterwards.

    Raises:
        RigError: it does not start.
    """
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="frceapi-s3-") as directory:
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        daemon = Daemon("moto", command, Path(directory), {})
        storage = ObjectStorage(port)
        try:
            daemon.wait_until(storage.answers)
            yield storage
        finally:
            daemon.stop()
