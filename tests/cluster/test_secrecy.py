"""What nobody else may read: tokens, scripts and the values of variables, in logs, on the wire and in files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.cluster.web import HOST, Site, Web

if TYPE_CHECKING:
    from tests.cluster.desk import Desk
    from tests.cluster.rig import Rig

_VALUES = {"A_PLAIN": "plain-value-5f1c", "A_SECRET": "secret-value-90ab"}
"""Two variables of the submitting environment; the workflow asks for the second."""

_COMMAND = b"command-of-the-rule"
_LAUNCHER = b"for try in 1 2 3"
"""Parts of the jobscript and of the script that is submitted."""

_ARRIVED = hashlib.sha256(f"{_VALUES['A_PLAIN']} {_VALUES['A_SECRET']}\n".encode()).hexdigest()

_SNAKEFILE = """
    envvars: "A_SECRET"

    rule one:
        output: "one.txt"
        shell: "true command-of-the-rule; echo $A_PLAIN $A_SECRET | sha256sum >seen; {end}; cp seen {output}"
"""

_LOG_EVERYTHING = """\
import logging
import sys

logging.basicConfig(filename={file!r}, level=logging.DEBUG)
logging.debug(sys.orig_argv)
"""

_TOKEN = re.compile(rb"Negotiate +[A-Za-z0-9+/=]{16}|YII[A-Za-z0-9+/]{40}")
"""A token in its header, or alone: the base64 of a GSS-API token of more than 255 bytes begins with these letters."""

_DUMP_REQUESTS = """\
LoadModule dumpio_module /usr/lib/apache2/modules/mod_dumpio.so
DumpIOInput On
LogLevel dumpio:trace7
"""


@pytest.fixture
def python_log(desk: Desk, tmp_path: Path) -> Path:
    """The file to which the desk's Python programs, and those of its jobs, log all that any library has to say."""
    file, site = tmp_path / "python.log", tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_LOG_EVERYTHING.format(file=str(file)), encoding="utf-8")
    desk.environment["PYTHONPATH"] = str(site)
    return file


@pytest.fixture
def dump(desk: Desk, tmp_path: Path) -> Iterator[Path]:
    """The log of an Apache that writes down all that it is sent, headers and bodies, and to which the runs go."""
    authority, certificate = trustme.CA(), tmp_path / "server.pem"
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    keytab = desk.rig.kdc.add_keytab(f"HTTP/{HOST}")
    site = Site(backend=backend(desk.rig), keytab=keytab, certificate=certificate, directives=_DUMP_REQUESTS)
    with tempfile.TemporaryDirectory(prefix="frceapi-dump-") as place:
        Path(place).chmod(0o711)
        web = Web(Path(place), site, desk.rig.kdc.environment)
        desk.environment |= {"SNAKEMAKE_FRCEAPI_URL": web.url, "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem")}
        yield Path(place) / "error.log"
        web.stop()


def backend(rig: Rig) -> str:
    """Return the URL of the gateway, as the configuration of the rig's Apache has it."""
    configuration = (rig.directory / "web" / "httpd.conf").read_text("ascii")
    found = re.search(r"ProxyPass (\S+)", configuration)
    assert found is not None
    return found.group(1)


def write_workflow(desk: Desk, end: str = "true") -> None:
    """Write a workflow whose job shows that both values reached it, and set them."""
    desk.write("Snakefile", _SNAKEFILE.replace("{end}", end))
    desk.environment |= _VALUES


def files_with(directory: Path, content: bytes | re.Pattern[bytes]) -> list[Path]:
    """Return the files below a directory that hold something."""
    pattern = re.compile(re.escape(content)) if isinstance(content, bytes) else content
    found = []
    for path in directory.rglob("*"):
        # The daemons of the cluster write their files anew and remove them meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and pattern.search(path.read_bytes()):
                found.append(path)
    return found


@pytest.mark.parametrize("end", ["true", "exit 3"])
def test_logs_hold_nothing_secret(desk: Desk, python_log: Path, end: str) -> None:
    """Neither here nor on the cluster, with all the logging there is, whether the job ends well or fails."""
    write_workflow(desk, end)
    result = desk.run("--verbose")

    assert result.exit_code == (0 if end == "true" else 1), result.output
    assert desk.read("seen").split()[0] == _ARRIVED
    assert "'-m', 'snakemake_executor_plugin_frceapi.courier'" in python_log.read_text("utf-8")
    for place in (desk.directory.parent, desk.rig.directory):
        assert files_with(place, _TOKEN) == []
        for value in _VALUES.values():
            assert files_with(place, value.encode()) == []
    assert files_with(desk.directory.parent, _LAUNCHER) == []
    assert files_with(desk.rig.directory, _COMMAND) == []


def test_slurm_alone_keeps_the_script_that_was_sent(desk: Desk) -> None:
    """Slurm's copy is in its own state, and holds nothing of the jobscript and no value of a variable."""
    write_workflow(desk, "echo $SLURM_JOB_ID >>one.id; while [ ! -e go ]; do sleep 0.2; done")
    running = desk.start()
    script = desk.rig.slurm.run("scontrol", "write", "batch_script", desk.job_of("one"), "-").encode()
    kept = files_with(desk.rig.directory, _LAUNCHER)
    desk.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert _LAUNCHER in script
    assert [part for part in (_COMMAND, *map(str.encode, _VALUES.values())) if part in script] == []
    assert {path.name for path in kept} <= {"script", "slurm_script"}


def test_wire_carries_token_and_launcher_only(desk: Desk, dump: Path) -> None:
    """What is sent holds a token, and of the job nothing but the launcher."""
    write_workflow(desk)
    result = desk.run()
    sent = dump.read_bytes()

    assert result.exit_code == 0, result.output
    assert desk.read("one.txt").split()[0] == _ARRIVED
    assert _TOKEN.search(sent)
    assert _LAUNCHER in sent
    assert [part for part in (_COMMAND, *map(str.encode, _VALUES.values())) if part in sent] == []


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A file mode creation mask, which what the test starts inherits."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes_below(directory: Path) -> dict[Path, int]:
    """Return the modes of a directory and of all that is in it, with the bits that tell the kind."""
    return {path: path.lstat().st_mode for path in (directory, *directory.rglob("*"))}


def test_run_directory_is_private_and_log_follows_umask(desk: Desk, umask: int) -> None:
    """Nobody else can read what a job runs with and leaves; its log is as readable as the user's other files."""
    write_workflow(desk, "echo $SLURM_JOB_ID >>one.id; while [ ! -e go ]; do sleep 0.2; done")
    running = desk.start()
    job = desk.job_of("one")
    spool = desk.directory / ".snakemake/frceapi" / desk.rig.user
    log = desk.directory / f".snakemake/frceapi_logs/rule_one/{job}.log"
    log_mode, modes = log.stat().st_mode, modes_below(spool)
    # Stopped, it removes nothing of a job that has ended.
    running.signal(signal.SIGSTOP)
    desk.write("go", "")
    desk.wait_for(lambda: any((spool / "done").iterdir()), "the end of the job")
    modes |= modes_below(spool)
    running.signal(signal.SIGCONT)
    result = running.wait()

    assert result.exit_code == 0, result.output
    names = {path.name for path in modes}
    assert {"control", "claim", "started", f"end.{job}.0"} <= names
    assert {name.split("-")[0] for name in names} >= {"env", "run"}
    allowed = {path: 0o700 if stat.S_ISDIR(mode) else 0o600 for path, mode in modes.items()}
    assert {path: stat.S_IMODE(mode) for path, mode in modes.items()} == allowed
    assert stat.S_IMODE(log_mode) == 0o666 & ~umask
    assert stat.S_IMODE((desk.directory / "one.txt").stat().st_mode) == 0o666 & ~umask
