"""The secret in the sandbox's URL: whoever knows it can run programs as the owner of the sandbox."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_PATH = re.compile(r"/([A-Za-z0-9_-]{16,128})/hpcapi/?", re.ASCII)


class SecretError(ValueError):
    """A secret cannot be used. The message does not hold it."""


def new_secret() -> str:
    """A random secret."""
    return secrets.token_urlsafe(24)


def checked_secret(secret: str) -> str:
    """`secret` itself.

    Raises:
        SecretError: it is too short, or cannot stand in a URL.
    """
    if not _SECRET.fullmatch(secret):
        raise SecretError(
            f"the sandbox's secret has {len(secret)} characters that do not fit; "
            "use 16 to 128 letters, digits, '-' or '_', or none at all for a random one"
        )
    return secret


def read_secret(path: Path) -> str:
    """The secret in a file.

    Raises:
        SecretError: the file cannot be read, or others may read it.
    """
    try:
        with path.open(encoding="ascii") as file:
            found = os.fstat(file.fileno())
            text = file.read(1000).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SecretError(
            f"cannot read the sandbox's secret from {path} ({why}); make that file with mode 0600, or leave it out"
        ) from error
    bits = stat.S_IMODE(found.st_mode)
    if bits & 0o077 or found.st_uid != os.getuid():
        raise SecretError(f"{path} holds a secret and must be yours with mode 0600, not {bits:04o}; chmod 600 {path}")
    return checked_secret(text)


def secret_of_url(url: str) -> tuple[str, int] | None:
    """The secret and the port in the URL of a sandbox; None if it is not one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    found = _PATH.fullmatch(parts.path)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK_HOSTS or port is None or found is None:
        return None
    return found[1], port


def is_same(given: str, secret: str) -> bool:
    """Compare in a time that does not tell how much of `given` is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())
