"""The user as whom jobs run."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.sandbox.environment import User


def test_user_comes_from_the_password_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the caller have no say in it."""
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("HOME", "/elsewhere")

    user = User.current()

    assert (user.uid, user.name, user.home) == (os.getuid(), pwd.getpwuid(os.getuid()).pw_name, str(Path(user.home)))
    assert user.home != "/elsewhere"
    assert user.job_name == f"{user.name}-"


def test_user_without_an_entry_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's arbitrary user id works, too."""

    def missing(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", missing)

    user = User.current()

    assert (user.name, user.home, user.shell) == (str(os.getuid()), "/", "/bin/sh")
