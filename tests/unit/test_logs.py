"""Tests of the places of job logs, their removal and their last lines."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.logs import last_lines, log_directory, remove_old

ROOT = Path("/logs")
NOW = 1_700_000_000.0
DAY = 86_400.0


@pytest.mark.parametrize(
    ("name", "wildcards", "is_group", "expected"),
    [
        ("all", {}, False, "rule_all"),
        ("g1", {}, True, "group_g1"),
        ("map", {"sample": "A1"}, False, "rule_map/A1"),
        ("map", {"sample": "A_1"}, False, "rule_map/A_1"),
        ("map", {"sample": "A1", "unit": "2", "read": "R1"}, False, "rule_map/A1_2_R1"),
        ("map", {"sample": "a.b-c=d+e,f@g%h"}, False, "rule_map/a.b-c=d+e,f@g%h"),
        ("map", {"sample": "x" * 100}, False, "rule_map/" + "x" * 100),
    ],
)
def test_keeps_safe_names_as_they_are(name: str, wildcards: dict[str, str], *, is_group: bool, expected: str) -> None:
    """Ordinary names and values read as in the workflow."""
    assert log_directory(ROOT, name, is_group, wildcards) == ROOT / expected


@pytest.mark.parametrize(
    ("value", "stem"),
    [
        ("a/b", "a_b"),
        ("/abs", "_abs"),
        ("a b", "a_b"),
        ("$(reboot)", "__reboot_"),
        ("a\nb", "a_b"),
        ('it\'s "x"', "it_s__x_"),
        ("..", "_."),
        (".", "_"),
        (".hidden", "_hidden"),
        ("-rf", "_rf"),
        ("~", "_"),
        ("Müller", "M_ller"),
        ("\udcff", "_"),
        ("", "_"),
        ("x" * 101, "x" * 87),
    ],
)
def test_changes_unsafe_values_and_marks_them(value: str, stem: str) -> None:
    """What a shell, a terminal or a file system could trip over is replaced, and a hash tells the values apart."""
    assert re.fullmatch(re.escape(stem) + "~[0-9a-f]{12}", log_directory(ROOT, "map", False, {"sample": value}).name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "x_y", "b": "z"}, {"a": "x", "b": "y_z"}),
        ({"a": "", "b": "x"}, {"a": "x", "b": ""}),
        ({"a": "x/y"}, {"a": "x_y"}),
        ({"a": "x/y"}, {"a": "x y"}),
        ({"a": "x" * 200}, {"a": "x" * 201}),
    ],
)
def test_tells_similar_wildcards_apart(one: dict[str, str], other: dict[str, str]) -> None:
    """Values that read alike once they are joined, cut or cleaned get directories of their own."""
    assert log_directory(ROOT, "map", False, one) != log_directory(ROOT, "map", False, other)


def test_tells_groups_and_rules_apart() -> None:
    """A group of the same name as a rule has a directory of its own, also when the name had to be changed."""
    assert len({log_directory(ROOT, name, group, {}) for name in ("x", "a b") for group in (True, False)}) == 4


tricky = st.sampled_from(["", ".", "..", "/", "_", "x_", "a/b", "a_b", "~0123456789ab", "x~0123456789ab", "x" * 101])
values = st.text(max_size=120) | st.text("ab_/ .", max_size=4) | tricky
wildcard_sets = st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(values, min_size=n, max_size=n), max_size=8))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wildcard_sets)
def test_gives_each_job_of_a_rule_its_own_directory(jobs: list[list[str]]) -> None:
    """Different wildcards of one rule never share a directory, and no component leaves the root or is too long."""
    distinct = {tuple(job) for job in jobs}
    directories = {log_directory(ROOT, "map", False, dict(zip("abc", job, strict=False))) for job in distinct}

    assert len(directories) == len(distinct)
    for directory in directories:
        assert re.fullmatch(r"/logs/rule_map/[A-Za-z0-9_=+,@%~][A-Za-z0-9._=+,@%~-]{0,99}", str(directory))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(one=st.text(max_size=200), other=st.text(max_size=200), is_group=st.booleans())
def test_gives_each_name_its_own_directory(one: str, other: str, *, is_group: bool) -> None:
    """Names are bounded and told apart like wildcards."""
    directories = {log_directory(ROOT, name, is_group, {}) for name in (one, other)}

    assert len(directories) == len({one, other})
    assert all(re.fullmatch(r"/logs/(rule|group)_[A-Za-z0-9._=+,@%~-]{0,95}", str(path)) for path in directories)


def write(path: Path, age_days: float = 0, text: str = "x\n") -> Path:
    """Write a log that is so many days old at `NOW`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (NOW - age_days * DAY,) * 2)
    return path


def test_removes_old_logs_and_the_directories_they_leave_empty(tmp_path: Path) -> None:
    """Old logs go with their directories, new ones stay."""
    old = [write(tmp_path / "rule_a/x/1.log", 11), write(tmp_path / "rule_b/2.log", 10.1)]
    new = [write(tmp_path / "rule_b/3.log", 9.9), write(tmp_path / "group_c/4.log")]

    assert remove_old(tmp_path, 10, NOW) == 2
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in new)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["group_c", "rule_b"]


def test_keeps_directories_that_were_empty_before(tmp_path: Path) -> None:
    """A queued job of another run may be about to write there."""
    (tmp_path / "rule_a/queued").mkdir(parents=True)
    (tmp_path / "rule_b").mkdir()
    write(tmp_path / "rule_a/old/1.log", 11)

    assert remove_old(tmp_path, 10, NOW) == 1
    assert [path.name for path in (tmp_path / "rule_a").iterdir()] == ["queued"]
    assert (tmp_path / "rule_b").is_dir()


def test_removes_nothing_but_logs_of_jobs(tmp_path: Path) -> None:
    """Other files and directories in the same place are not touched, whatever their age."""
    others = [tmp_path / "rule_a/notes.txt", tmp_path / "my.log", tmp_path / "project/run.log", tmp_path / "rule_b"]
    for path in others:
        write(path, 100)
    write(tmp_path / "rule_a/1.log", 100)
    (tmp_path / "rule_a/dir.log").mkdir()

    assert remove_old(tmp_path, 10, NOW) == 1
    assert all(path.is_file() for path in others)
    assert (tmp_path / "rule_a/dir.log").is_dir()


def test_follows_no_symbolic_link(tmp_path: Path) -> None:
    """What a link leads to survives, and so does the link."""
    kept = write(tmp_path / "elsewhere/1.log", 100)
    root = tmp_path / "logs"
    (root / "rule_a").mkdir(parents=True)
    links = [root / "rule_linked", root / "rule_a/linked", root / "rule_a/2.log"]
    links[0].symlink_to(kept.parent)
    links[1].symlink_to(kept.parent)
    links[2].symlink_to(kept)

    assert remove_old(root, 10, NOW) == 0
    assert kept.exists()
    assert all(link.is_symlink() for link in links)


@pytest.mark.parametrize("days", [0, -1])
def test_removes_nothing_when_switched_off(tmp_path: Path, days: int) -> None:
    """No age means no removal."""
    old = write(tmp_path / "rule_a/1.log", 1000)

    assert remove_old(tmp_path, days, NOW) == 0
    assert old.exists()


def test_removes_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    """The first run of a workflow has no log directory."""
    assert remove_old(tmp_path / "missing", 10, NOW) == 0


def test_survives_logs_and_directories_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process removes at the same time is neither an error nor counted."""
    write(tmp_path / "rule_a/1.log", 11)
    write(tmp_path / "rule_b/2.log", 11)
    unlink = Path.unlink

    def unlink_after_another_process(path: Path) -> None:
        unlink(path)
        if path.name == "1.log":
            path.parent.rmdir()
            unlink(path)

    monkeypatch.setattr(Path, "unlink", unlink_after_another_process)

    assert remove_old(tmp_path, 10, NOW) == 1
    assert list(tmp_path.iterdir()) == []


class StaleEntry:
    """A directory entry on a network file system whose handle has become stale."""

    name, path = "rule_a", "/nowhere/rule_a"

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        """Fail as stat(2) does there."""
        raise OSError(116, f"Stale file handle, follow_symlinks={follow_symlinks}")


def test_survives_a_stale_file_handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that cannot be looked at is left alone, the others are handled."""
    write(tmp_path / "rule_b/2.log", 11)
    scandir = os.scandir

    class Entries:
        def __init__(self, path: Path) -> None:
            self.real = scandir(path)

        def __enter__(self) -> list[object]:
            stale: list[object] = [StaleEntry()]
            return stale + list(self.real)

        def __exit__(self, *error: object) -> None:
            self.real.close()

    monkeypatch.setattr(os, "scandir", Entries)

    assert remove_old(tmp_path, 10, NOW) == 1


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"one", ["one"], id="no-newline"),
        pytest.param(b"a\n\n  \nb\n\n", ["a", "b"], id="blank-lines"),
        pytest.param(b"1\n2\n3\n4\n5\n", ["3", "4", "5"], id="last-three"),
        pytest.param(b"a\r\nb\r\n", ["a", "b"], id="dos"),
        pytest.param(b"10%\r50%\r100%\n", ["100%"], id="progress"),
        pytest.param(b"\x1b[1;31mred\x1b[0m \x1b[?25lx\x1b[2K", ["red x"], id="colours"),
        pytest.param(b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1b(Bc\x1b7d", ["abcd"], id="titles-and-links"),
        pytest.param(b"\xc2\x9b31mred", ["red"], id="eight-bit-control"),
        pytest.param(b"a\x00b\x07c\x08d\x7fe", ["abcde"], id="control-characters"),
        pytest.param("a\u202eb\u200bc\u2028d".encode(), ["abc d"], id="invisible-characters"),
        pytest.param(b"a\tb\x0bc", ["a\tb c"], id="white-space"),
        pytest.param(
            "Größe \N{GREEK SMALL LETTER ALPHA}".encode(), ["Größe \N{GREEK SMALL LETTER ALPHA}"], id="letters"
        ),
        pytest.param(b"bad \xff byte", ["bad \ufffd byte"], id="undecodable"),
    ],
)
def test_shows_the_last_lines_cleaned(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    """Only what can be read and harms no terminal is shown."""
    path = tmp_path / "1.log"
    path.write_bytes(content)

    assert last_lines(path, count=3) == lines


def test_reads_only_the_end_of_a_long_log(tmp_path: Path) -> None:
    """A line of which only a part was read is left out, unless there is no other."""
    path = tmp_path / "1.log"
    path.write_bytes(b"first line\nsecond line\nthird line\n")

    assert last_lines(path, max_bytes=20) == ["third line"]
    assert last_lines(path, max_bytes=25) == ["second line", "third line"]
    assert last_lines(path, max_bytes=34) == ["first line", "second line", "third line"]

    path.write_bytes(b"x" * 50)

    assert last_lines(path, max_bytes=20) == ["x" * 20]


def test_shows_nothing_of_a_log_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing log or a directory in its place has no lines."""
    assert last_lines(tmp_path / "missing.log") == []
    assert last_lines(tmp_path) == []
    assert last_lines(write(tmp_path / "1.log"), count=0) == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text("\x1b[]0;1m\x07\\\r\n\x9bax ", max_size=60).map(str.encode), st.integers(1, 5))
def test_shows_printable_lines_of_any_bytes(tmp_path: Path, content: bytes, count: int) -> None:
    """Whatever a job writes, each line shown is printable and there are not too many."""
    path = tmp_path / "1.log"
    path.write_bytes(content)

    lines = last_lines(path, count, max_bytes=100)

    assert len(lines) <= count
    assert all(line.replace("\t", "").isprintable() and line.strip() for line in lines)
    assert path.read_bytes() == content


LAST_WORDS = """\
[Sun Nov  1 08:18:55 2026]
Error in rule a:
    message: None
    shell:
        false
        (command exited with non-zero exit code)
Shutting down, this might take some time.
Exiting because a job execution failed. Look above for error messages
WorkflowError:
At least one job did not complete successfully.
"""


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(f"cat: x: No such file\n{LAST_WORDS}", ["cat: x: No such file"], id="left-out"),
        pytest.param(f"x\n{LAST_WORDS}y\n{LAST_WORDS}", ["y"], id="last-of-two"),
        pytest.param(LAST_WORDS, LAST_WORDS.splitlines(), id="nothing-else"),
        pytest.param("x\nError in rule a:\ny\n", ["x", "Error in rule a:", "y"], id="a-program-says-so"),
        pytest.param("x\nError in rule a:\n", ["x", "Error in rule a:"], id="cut-off"),
    ],
)
def test_shows_what_a_rule_said_instead_of_snakemakes_last_words(tmp_path: Path, text: str, lines: list[str]) -> None:
    """The block about the failed rule, which the reader sees anyway, does not push out the reason."""
    path = tmp_path / "1.log"
    path.write_text(text, encoding="utf-8")

    assert last_lines(path, count=20)[-len(lines) :] == lines
