"""Tests of the run directory: its modes, its markers, and how it reads what jobs leave."""

from __future__ import annotations

import errno
import io
import os
import pwd
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi import private_files
from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.jobscript import run_script
from snakemake_executor_plugin_frceapi.markers import Start, parse_end
from snakemake_executor_plugin_frceapi.spool import Spool, new_token
from tests.run_directories import a_run_directory, order_in

END = "id=7 restart=0 exit=0 cause=own start=100.5 end=160.25 cpu_ticks=250\n"
START = "id=7 restart=0 node=cn1 cluster=frce start=100.5 mem_per_node= partition=norm\n"
USER = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Run directories of this user."""
    return Spool(tmp_path / "spool")


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each umask, however odd."""
    former = os.umask(request.param)
    yield
    os.umask(former)


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.lstat().st_mode)


def write_job(spool: Spool, token: str, jobscript: str = "#!/bin/bash\necho it's\n", *, gated: bool = False) -> Path:
    """Write a submission's run directory, after what all share."""
    directory = spool.job_directory(token)
    spool.write_shared()
    command = spool.jobscript_command(token, jobscript, "job-x")
    a_run_directory(spool, token, jobscript, "job-x", gated=gated, command=command).write()
    return directory


def test_makes_everything_private_whatever_the_umask(umask: None, tmp_path: Path) -> None:
    """Directories are 0700 and files 0600, so that nobody else reads a jobscript or an environment."""
    spool = Spool(tmp_path)
    environment = spool.share("env", b"A=1\0")
    directory = write_job(spool, "t")
    files = [environment, *directory.iterdir()]

    directories = [spool.directory, directory, directory.parent, environment.parent, spool.done_entry("t").parent]

    assert {mode(path) for path in files} == {0o600}
    assert {mode(path) for path in directories} == {0o700}


def test_writes_all_that_a_job_needs(spool: Spool) -> None:
    """The run directory holds the jobscript, leave to run, and what the run script must know, which all jobs share."""
    directory = write_job(spool, "t")
    write_job(spool, "u")
    lines = (directory / "control").read_text().splitlines()
    (script,) = (spool.directory / "shared").iterdir()

    assert sorted(path.name for path in directory.iterdir()) == ["control", "job-x"]
    assert lines[0].split() == ["#", "run"]
    assert (directory / "job-x").read_text() == "#!/bin/bash\necho it's\n"
    assert f"frceapi_command=(/bin/bash {directory}/job-x)" in lines
    assert script.read_text() == run_script()
    assert script.name in spool.launcher("t")


def test_writes_names_that_are_no_utf_8(spool: Spool) -> None:
    """A file name that Python could not decode stands in the jobscript with its own bytes."""
    directory = write_job(spool, "t", "echo \udcff\n")

    assert (directory / "job-x").read_bytes() == b"echo \xff\n"


def test_names_directories_by_user_and_token(tmp_path: Path) -> None:
    """Each user has a directory, each submission one in it; another start finds them again."""
    spool = Spool(tmp_path / "a" / "b")

    assert spool.directory == tmp_path / "a" / "b" / USER
    assert write_job(spool, "t") == Spool(tmp_path / "a" / "b").job_directory("t")


def test_names_a_user_without_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the number of the user may have no name; it stands for it."""
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)

    assert Spool(tmp_path).directory.name == f"uid-{os.getuid()}"


def test_gives_each_submission_a_token_of_its_own() -> None:
    """Tokens are random and long, and safe as file names."""
    tokens = {new_token() for _ in range(1000)}

    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {16}
    assert set("".join(tokens)) <= set("0123456789abcdef")


def test_shows_no_run_directory_that_is_written_or_removed_in_part(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any moment, this process leaves a whole run directory or what only a clean-up finds."""
    seen = []
    write_file = private_files.write_file

    def look(path: Path, content: str | bytes) -> None:
        seen.append(spool.has_job("t"))
        write_file(path, content)

    monkeypatch.setattr(private_files, "write_file", look)
    write_job(spool, "t")
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: seen.append(spool.has_job("t")))
    spool.remove_job("t")
    monkeypatch.undo()

    assert seen == [False] * 4  # the run script, two files, and the removal
    assert spool.tokens() == {"t"}
    spool.discard("t")
    assert spool.tokens() == set()


def test_erases_an_end_that_is_listed_meanwhile(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that has recorded its end lists it a moment later; that leaves nothing behind."""
    end = write_job(spool, "t") / "end.7.0"
    end.write_text(END)
    move = Path.rename

    def listed_at_last(path: Path, target: Path) -> Path:
        spool.done_entry("t").hardlink_to(end)
        return move(path, target)

    monkeypatch.setattr(Path, "rename", listed_at_last)
    spool.erase("t")

    assert spool.tokens() == set()


def test_writes_a_run_directory_once(spool: Spool) -> None:
    """What is posted again finds the run directory as its job may know it."""
    directory = write_job(spool, "t")
    (directory / "claim").write_text("7\n")
    assert spool.order_cancel("t")
    write_job(spool, "t", "echo other\n")

    assert spool.claimed_by("t") == "7"
    assert spool.is_cancel_ordered("t")
    assert "other" not in (directory / "job-x").read_text()


def test_writes_a_run_directory_that_was_begun(spool: Spool) -> None:
    """What a process left that was killed as it wrote is in nobody's way."""
    hidden = spool.job_directory(".t")
    hidden.mkdir()
    (hidden / "control").write_text("half")
    directory = write_job(spool, "t")

    assert sorted(path.name for path in directory.iterdir()) == ["control", "job-x"]
    assert not hidden.exists()


def test_repairs_the_modes_of_its_directories(tmp_path: Path) -> None:
    """A directory of the user's own that others could enter is closed again."""
    Spool(tmp_path).directory.chmod(0o777)

    assert mode(Spool(tmp_path).directory) == 0o700


def test_refuses_a_symbolic_link(tmp_path: Path) -> None:
    """A link in the place of the user's directory may lead anywhere and is not followed."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / USER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="is not a directory of yours; move it away"):
        Spool(tmp_path / "spool")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", [USER, f"{USER}/jobs", f"{USER}/done", f"{USER}/shared"])
def test_refuses_a_file_in_the_place_of_a_directory(name: str, tmp_path: Path) -> None:
    """Whatever stands where a directory should is named."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(SettingsError, match=f"{path} is not a directory of yours"):
        Spool(tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_refuses_a_directory_of_somebody_else(tmp_path: Path) -> None:
    """A directory that another user owns is not used, with whatever modes."""
    directory = Spool(tmp_path).directory
    os.chown(directory, 12345, -1)
    with pytest.raises(SettingsError, match="is not a directory of yours"):
        Spool(tmp_path)


@pytest.mark.parametrize("root", ["file", "file/below"])
def test_says_where_it_cannot_write(root: str, tmp_path: Path) -> None:
    """A run directory that cannot be made is one line that says which, why, and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=f"{tmp_path}/file.* cannot be written .*; go to a directory") as caught:
        Spool(tmp_path / root)
    assert "\n" not in str(caught.value)


def test_keeps_what_jobs_share_once(spool: Spool) -> None:
    """Equal contents share a file, which is whole as soon as it has its name; another one gets its own."""
    one, again, other = (spool.share("env", content) for content in (b"A=1\0", b"A=1\0", b"A=2\0"))
    assert list(one.parent.iterdir()) == []
    write_job(spool, "t")

    assert one == again != other
    assert one.name.startswith("env-")
    assert one.read_bytes() == b"A=1\0"
    assert sorted(one.parent.glob("env-*")) == sorted([one, other])


def test_writes_no_job_before_what_it_shares(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a shared file cannot be written, or is written in part, there is neither it nor a run directory."""
    shared = spool.share("env", b"A=1\0")

    def fail(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        write_job(spool, "t")
    assert list(shared.parent.iterdir()) == []
    assert not spool.has_jobs()

    monkeypatch.undo()
    write_job(spool, "t")
    assert shared.read_bytes() == b"A=1\0"
    shared.unlink()
    write_job(spool, "u")
    assert not shared.exists()
    spool.share("env", b"A=1\0")
    write_job(spool, "v")
    assert shared.exists()


def test_removes_what_jobs_share_and_nothing_else(spool: Spool) -> None:
    """Shared files go, also one that was never finished; jobs stay."""
    shared = spool.share("env", b"A=1\0").parent
    (shared / ".env-1234.abcd").write_text("half")
    write_job(spool, "t")
    assert len(list(shared.glob("*env-*"))) == 2
    spool.remove_shared()

    assert list(shared.iterdir()) == []
    assert spool.has_jobs()
    spool.remove_job("t")
    assert not spool.has_jobs()


def test_orders_to_cancel(spool: Spool) -> None:
    """The order replaces the leave to run, in the same file, which jobs have looked at before."""
    control = write_job(spool, "t") / "control"
    settings = control.read_text().splitlines()[1:]
    inode = control.stat().st_ino

    assert spool.order_cancel("t")
    assert spool.order_cancel("t")
    assert order_in(control) == "cancel"
    assert control.read_text().splitlines()[1:] == settings
    assert control.stat().st_ino == inode


def test_needs_no_order_without_a_run_directory(spool: Spool) -> None:
    """Without its run directory a job cannot begin, so there is nothing to order, and no directory is made."""
    assert spool.order_cancel("gone")
    assert not spool.has_jobs()


def test_says_when_an_order_could_not_be_written(spool: Spool) -> None:
    """Where the file system fails, the job may still begin."""
    spool.job_directory("t").mkdir()
    (spool.job_directory("t") / "control").mkdir()

    assert not spool.order_cancel("t")


def test_opens_a_gate(spool: Spool) -> None:
    """Leave to run replaces the gate, in the same file, which jobs have looked at before; once more does no harm."""
    control = write_job(spool, "t", gated=True) / "control"
    settings = control.read_text().splitlines()[1:]
    inode = control.stat().st_ino

    assert order_in(control) == "gate"
    assert spool.open_gate("t")
    assert spool.open_gate("t")
    assert order_in(control) == "run"
    assert (control.stat().st_ino, mode(control)) == (inode, 0o600)
    assert not spool.is_cancel_ordered("t")
    assert spool.order_cancel("t")
    assert order_in(control) == "cancel"
    assert control.read_text().splitlines()[1:] == settings


def test_opens_the_gate_of_a_job_that_has_none(spool: Spool) -> None:
    """A job that was not submitted ahead may begin anyway."""
    control = write_job(spool, "t") / "control"

    assert spool.open_gate("t")
    assert order_in(control) == "run"


def test_opens_no_gate_to_a_job_that_was_cancelled(spool: Spool) -> None:
    """An order to cancel stands, whatever comes after it."""
    control = write_job(spool, "t", gated=True) / "control"
    spool.order_cancel("t")

    assert not spool.open_gate("t")
    assert order_in(control) == "cancel"


@pytest.mark.parametrize("order", ["", "# ga", "# gate", "# other\n", "gate\n", "x gate\n"])
def test_opens_no_gate_over_an_order_that_it_does_not_know(order: str, spool: Spool) -> None:
    """What is not whole is left as it is."""
    control = write_job(spool, "t", gated=True) / "control"
    control.write_text(order)

    assert not spool.open_gate("t")
    assert control.read_text() == order


def test_says_when_a_gate_could_not_be_opened(spool: Spool) -> None:
    """Without its run directory, or where the file system fails, a job cannot be let through; none is made."""
    assert not spool.open_gate("gone")
    assert not spool.has_jobs()
    (spool.job_directory("t") / "control").mkdir(parents=True)
    assert not spool.open_gate("t")


def test_never_opens_a_gate_over_an_order_that_comes_at_the_same_time(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order to cancel that comes after the gate was read and before it is opened is what stands at last."""
    control = write_job(spool, "t", gated=True) / "control"
    cancelling = threading.Thread(target=spool.order_cancel, args=("t",))
    open_path = Path.open

    class Read(io.BufferedRandom):
        def read(self, size: int | None = -1, /) -> bytes:
            order = super().read(size)
            cancelling.start()
            cancelling.join(0.2)
            return order

    def open_file(path: Path, mode: str, **options: str) -> object:
        return Read(io.FileIO(path, "r+")) if mode == "r+b" else open_path(path, mode, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_file)
    spool.open_gate("t")
    cancelling.join()
    monkeypatch.undo()

    assert order_in(control) == "cancel"


def test_rewrites_its_heartbeat_in_place(umask: None, tmp_path: Path) -> None:
    """Each beat is another content of the same private file, whole after each, and of one length."""
    spool = Spool(tmp_path)
    path = spool.heartbeat("run-1")
    seen = []
    for count in (0, 1, 9, 10, 2**40, 3):
        assert spool.write_heartbeat("run-1", count)
        seen.append((path.read_text(), path.stat().st_ino, mode(path)))

    assert path == spool.directory / "heartbeat-run-1"
    assert [int(text) for text, _, _ in seen] == [0, 1, 9, 10, 2**40, 3]
    assert {(len(text), text[-1], inode, bits) for text, inode, bits in seen} == {(21, "\n", seen[0][1], 0o600)}


def test_says_when_a_heartbeat_could_not_be_written(spool: Spool) -> None:
    """Where the file system fails, no job hears of this run."""
    spool.heartbeat("run-1").mkdir()

    assert not spool.write_heartbeat("run-1", 1)


def test_finds_the_ends_of_wanted_jobs_only(spool: Spool) -> None:
    """Entries of other runs, torn ones and directories are passed over and left alone."""
    for token, text in {"mine": END, "foreign": END, "torn": END[:-1], "empty": "", "wild": "x=1\n"}.items():
        spool.done_entry(token).write_text(text)
    spool.done_entry("directory").mkdir()
    before = sorted(path.name for path in spool.done_entry("x").parent.iterdir())
    found = list(spool.new_ends({"mine", "torn", "empty", "wild", "directory", "not there"}))

    assert found == [("mine", parse_end(END))]
    assert sorted(path.name for path in spool.done_entry("x").parent.iterdir()) == before


def test_finds_no_ends_where_it_cannot_look(spool: Spool) -> None:
    """A listing that fails finds nothing; it is looked again later."""
    spool.done_entry("x").parent.rmdir()

    assert list(spool.new_ends({"x"})) == []


def test_forgets_an_end_once_or_twice(spool: Spool) -> None:
    """A forgotten end is out of the listing; forgetting it again, or what cannot be removed, does no harm."""
    spool.done_entry("t").write_text(END)
    spool.done_entry("stuck").mkdir()
    for token in ("t", "t", "stuck"):
        spool.forget_end(token)

    assert list(spool.new_ends({"t"})) == []


def test_takes_the_end_with_the_highest_restart(spool: Spool) -> None:
    """Numbers are compared as numbers, and torn or garbled ends do not count."""
    directory = write_job(spool, "t")
    for restart in (0, 2, 10):
        (directory / f"end.7.{restart}").write_text(END.replace("restart=0", f"restart={restart}"))
    (directory / "end.7.11").write_text(END.replace("restart=0", "restart=11")[:-1])
    (directory / ".end.7.12").write_text(END.replace("restart=0", "restart=12"))
    end = spool.latest_end("t")

    assert end is not None
    assert end.restart == 10


@pytest.mark.parametrize(("owner", "found"), [(None, False), ("7", True), ("8", False)])
def test_asks_no_claim_whose_end_it_is_where_there_is_one_job_only(
    owner: str | None,
    spool: Spool,
    *,
    found: bool,
) -> None:
    """The end of a job that another one seems to have the claim of counts if no other job can be there."""
    (write_job(spool, "t") / "claim").write_text("9\n")
    spool.done_entry("t").write_text(END)

    assert [token for token, _ in spool.new_ends({"t"}, lambda _: owner)] == (["t"] if found else [])


def test_finds_no_end_of_a_job_without_one(spool: Spool) -> None:
    """A job that has not ended, and one whose directory is gone, have no end."""
    write_job(spool, "t")

    assert spool.latest_end("t") is None
    assert spool.latest_end("gone") is None


@pytest.mark.parametrize(
    ("claim", "owner"),
    [
        ("123\n", "123"),
        ("123", None),
        ("123\n4\n", None),
        ("", None),
        ("abc\n", None),
        ("\u00b2\n", None),
        ("\u0661\n", None),
        ("1 2\n", None),
        ("-1\n", None),
    ],
)
def test_reads_a_claim(claim: str, owner: str | None, spool: Spool) -> None:
    """A claim is a job number in plain digits; anything else is not one yet."""
    (write_job(spool, "t") / "claim").write_text(claim)

    assert spool.claimed_by("t") == owner


def test_reads_what_is_not_there_as_nothing(spool: Spool) -> None:
    """Neither claim nor start of a submission that has no directory."""
    assert spool.claimed_by("gone") is None
    assert spool.start("gone") is None


def test_reads_a_start(spool: Spool) -> None:
    """The start marker names job, node and cluster; the rest is kept as Slurm wrote it."""
    (write_job(spool, "t") / "started").write_text(START)
    given = {"start": "100.5", "mem_per_node": "", "partition": "norm"}

    assert spool.start("t") == Start("7", 0, "cn1", "frce", given)
