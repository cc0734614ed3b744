"""The secret of the sandbox's URL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.secret import (
    SecretError,
    checked_secret,
    is_same,
    new_secret,
    read_secret,
    secret_of_url,
)

SECRET = "Abcdefghijklmno-_0123456789"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """A file with a secret that only its owner may read."""
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(f"{SECRET}\n", encoding="ascii")
    return path


def test_new_secrets_differ_and_fit() -> None:
    """Each random secret is another one, and would be accepted."""
    made = {new_secret() for _ in range(100)}

    assert len(made) == 100
    assert all(checked_secret(secret) == secret for secret in made)


@pytest.mark.parametrize("secret", ["", "short", "x" * 129, "with/slash/in/the/middle", "with space in the middle"])
def test_checked_secret_refuses(secret: str) -> None:
    """What is easily guessed or cannot stand in a URL is refused, and not repeated in the message."""
    with pytest.raises(SecretError) as caught:
        checked_secret(secret)

    assert not secret or secret not in str(caught.value)


def test_sandbox_uses_the_secret_of_a_file(secret_file: Path) -> None:
    """The file's secret stands in the URL."""
    with Sandbox(SandboxConfig(secret_file=secret_file)) as sandbox:
        assert sandbox.url.endswith(f"/{SECRET}/hpcapi")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_read_secret_refuses_open_file(secret_file: Path, mode: int) -> None:
    """A file that others can touch is no secret."""
    secret_file.chmod(mode)

    with pytest.raises(SecretError, match="chmod 600"):
        read_secret(secret_file)


def test_read_secret_refuses_what_is_not_there(tmp_path: Path) -> None:
    """A missing file, a directory or other bytes are reported with the path."""
    other = tmp_path / "bytes"
    other.write_bytes(b"\xff")
    for path in (tmp_path / "missing", tmp_path, other):
        with pytest.raises(SecretError, match=r"cannot read .* \(.+\); make that file with mode 0600"):
            read_secret(path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_read_secret_refuses_file_of_another(secret_file: Path) -> None:
    """A file of another user is no secret."""
    os.chown(secret_file, 1, 1)

    with pytest.raises(SecretError, match="yours"):
        read_secret(secret_file)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"http://127.0.0.1:8080/{SECRET}/hpcapi", (SECRET, 8080)),
        (f"http://localhost:1/{SECRET}/hpcapi/", (SECRET, 1)),
        (f"http://[::1]:1/{SECRET}/hpcapi", (SECRET, 1)),
        (f"https://127.0.0.1:8080/{SECRET}/hpcapi", None),
        (f"http://127.0.0.1/{SECRET}/hpcapi", None),
        (f"http://example.org:80/{SECRET}/hpcapi", None),
        (f"http://127.0.0.1:x/{SECRET}/hpcapi", None),
        ("http://127.0.0.1:80/hpcapi", None),
        ("https://hpcapi.ncifcrf.gov/hpcapi", None),
        ("", None),
    ],
)
def test_secret_of_url_knows_sandboxes(url: str, expected: tuple[str, int] | None) -> None:
    """Only the URL of a sandbox on this machine holds a secret and a port."""
    assert secret_of_url(url) == expected


def test_is_same_compares_any_text() -> None:
    """Text that is not ASCII is compared, too."""
    assert is_same(SECRET, SECRET)
    assert not is_same("é\udcff", SECRET)
