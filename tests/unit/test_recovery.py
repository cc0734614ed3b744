"""Tests of what earlier runs have left: which of it is taken over, and which job of this run it is."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi import recovery
from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.job import JobRequest, JobState, JobStatus, Listing, Work
from snakemake_executor_plugin_frceapi.journal import Entry, Event, Journal, journals, replay
from snakemake_executor_plugin_frceapi.recovery import Legacy, Match, Step, take_over
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tracker import End
from tests.journals import intend, leave
from tests.run_directories import a_run_directory, order_in

REQUEST = JobRequest(partition="norm", mem_mb_per_node=2000)
MORE = JobRequest(partition="norm", mem_mb_per_node=4000)


@dataclass
class World:
    """A run directory, and the runs that have used it.

    Attributes:
        spool: the run directory.
        top: where the outputs are.
        listed: what the listing shows.
    """

    spool: Spool
    top: Path
    listed: dict[str, JobStatus] = field(default_factory=dict)

    def works(self, *names: str, signature: str = "5eed") -> tuple[Work, ...]:
        """What jobs make: an output of each name."""
        return tuple(Work("map", (str(self.top / name),), signature) for name in names)

    def entry(self, token: str, *names: str, posts: int = 1, upstream: Sequence[str] = ()) -> Entry:
        """A submission that makes outputs of these names, or of its own."""
        return Entry(
            token=token,
            rule="map",
            attempt=1,
            works=self.works(*(names or [token])),
            request=REQUEST,
            log_directory=self.top / "logs",
            upstream=tuple(upstream),
            posts=posts,
        )

    def write(self, token: str) -> None:
        """Write its run directory."""
        a_run_directory(self.spool, token).write()

    def claims(self, token: str, jobid: str = "101") -> None:
        """A job claims it."""
        (self.spool.job_directory(token) / "claim").write_text(f"{jobid}\n")

    def ends(self, token: str, exit_code: int = 0, cause: str = "own") -> None:
        """The job that has claimed it ends."""
        text = f"id=101 restart=0 exit={exit_code} cause={cause} start=1 end=2 cpu_ticks=1\n"
        (self.spool.job_directory(token) / "end.101.0").write_text(text)
        self.spool.done_entry(token).write_text(text)

    def makes(self, *names: str) -> None:
        """Write outputs."""
        for name in names:
            (self.top / name).write_text("")

    def lists(self, state: JobState, jobid: str = "101") -> None:
        """List a job from now on."""
        self.listed[jobid] = JobStatus(jobid, state, state.value)

    def legacy(self, *entries: Entry) -> Legacy:
        """What was left, with the listing of now."""
        legacy = Legacy(self.spool, entries)
        legacy.note_listing(Listing(self.listed))
        return legacy

    def dead(self, *entries: Entry, **events: Event) -> Path:
        """Write the journal of a run that was killed.

        Args:
            entries: what it was about to post.
            events: what it wrote down about each afterwards, by token.
        """
        journal = Journal(self.spool.directory)
        for entry in entries:
            intend(journal, entry)
        for token, event in events.items():
            journal.note(event, token, posts=0, external_jobid="101")
        leave(journal)
        return journal.path

    @property
    def directories(self) -> set[str]:
        """The tokens that have a run directory."""
        return {path.name for path in (self.spool.directory / "jobs").iterdir()}

    def order(self, token: str) -> str:
        """What stands in a job's order."""
        return order_in(self.spool.job_directory(token) / "control")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A run directory that nobody has used."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return World(Spool(tmp_path / "spool"), tmp_path)


def tokens(legacy: Legacy) -> set[str]:
    """The tokens of what was left."""
    return {entry.token for entry in legacy.entries}


def read(path: Path) -> dict[str, Entry]:
    """What a journal says."""
    return replay(path.read_text().splitlines())


# Taking over ----------------------------------------------------------------------------------------------------------


def test_begins_where_nobody_was_before(world: World) -> None:
    """The first run has a journal and nothing to take up."""
    journal, legacy = take_over(world.spool)

    assert legacy.entries == []
    assert journals(world.spool.directory) == [journal.path]
    assert read(journal.path) == {}
    journal.close()


LEFT = {
    # What the dead run wrote: events after the intent, whether there is a run directory, and what becomes of it.
    "posted, no answer": ([], True, "taken over"),
    "unknown": ([Event.UNKNOWN], True, "taken over"),
    "accepted": ([Event.ACCEPTED], True, "taken over"),
    "ended": ([Event.ACCEPTED, Event.ENDED], True, "taken over"),
    "ended, directory gone": ([Event.ENDED], False, "taken over"),
    "killed before its directory was written": ([], False, "forgotten"),
    "directory gone": ([Event.ACCEPTED], False, "forgotten"),
    "not sent": ([Event.NOT_SENT], True, "cleared away"),
    "recorded": ([Event.ACCEPTED, Event.ENDED, Event.SETTLED], True, "cleared away"),
    "failed": ([Event.ACCEPTED, Event.FAILED], True, "cleared away"),
    "refused": ([Event.REFUSED], True, "cleared away"),
    "cancelled": ([Event.ACCEPTED, Event.CANCELLED], True, "cleared away"),
}


@pytest.mark.parametrize(("events", "has_directory", "fate"), LEFT.values(), ids=LEFT)
def test_takes_over_what_is_open(
    events: list[Event],
    has_directory: bool,  # noqa: FBT001 - a row of the table
    fate: str,
    world: World,
) -> None:
    """What may still run, or has ended unseen, goes into this run's journal; the rest leaves nothing."""
    former = world.dead(world.entry("t"))
    for event in events:
        with former.open("a") as file:
            file.write(f'\n{{"event": "{event}", "token": "t", "posts": 0, "external_jobid": "101"}}')
    if has_directory:
        world.write("t")
    journal, legacy = take_over(world.spool)
    journal.close()

    assert tokens(legacy) == ({"t"} if fate == "taken over" else set())
    assert world.directories == ({"t"} if has_directory and fate == "taken over" else set())
    assert journals(world.spool.directory) == ([journal.path] if fate == "taken over" else [])
    for entry in legacy.entries:
        assert read(journal.path) == {"t": entry}
        assert (entry.works, entry.request, entry.posts) == (world.works("t"), REQUEST, 1)
        assert entry.external_jobid == ("101" if Event.ACCEPTED in events else None)
        assert entry.ended == (Event.ENDED in events)


def test_follows_the_job_that_has_claimed_it(world: World) -> None:
    """The journal may name a twin; who runs it stands in the claim."""
    world.dead(world.entry("t"), t=Event.ACCEPTED)
    world.write("t")
    world.claims("t", "102")
    journal, legacy = take_over(world.spool)
    journal.close()

    assert [entry.external_jobid for entry in legacy.entries] == ["102"]
    assert read(journal.path)["t"].external_jobid == "102"


def test_takes_over_several_journals(world: World) -> None:
    """Runs that were killed one after another have each left something."""
    for token in ("a", "b"):
        world.dead(world.entry(token))
        world.write(token)
    journal, legacy = take_over(world.spool)
    journal.close()

    assert tokens(legacy) == {"a", "b"}
    assert read(journal.path).keys() == {"a", "b"}
    assert journals(world.spool.directory) == [journal.path]


DYING = """
import os, sys
from pathlib import Path
from snakemake_executor_plugin_frceapi.recovery import take_over
from snakemake_executor_plugin_frceapi.spool import Spool
Path.unlink = lambda path, missing_ok: os._exit(9)
take_over(Spool(Path(sys.argv[1])))
"""


def test_takes_over_once_after_a_crash_in_between(world: World) -> None:
    """Killed after it has written its own journal and before it has removed the old one, it harms nothing."""
    former = world.dead(world.entry("t"), t=Event.ACCEPTED)
    world.write("t")
    died = subprocess.run([sys.executable, "-c", DYING, str(world.top / "spool")], check=False)
    assert died.returncode == 9
    assert len(journals(world.spool.directory)) == 2
    journal, legacy = take_over(world.spool)
    journal.close()

    assert tokens(legacy) == {"t"}
    assert read(journal.path)["t"].posts == 1
    assert journals(world.spool.directory) == [journal.path]
    assert not former.exists()


HOLDER = """
import sys
from pathlib import Path
from snakemake_executor_plugin_frceapi.journal import Journal, replay
from tests.journals import intend, leave
from tests.run_directories import a_run_directory, order_in
lines = Path(sys.argv[2]).read_text().splitlines()
journal = Journal(Path(sys.argv[1]))
for entry in replay(lines).values():
    intend(journal, entry)
print(journal.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another(world: World) -> Iterator[Callable[[Entry], subprocess.Popen[str]]]:
    """A maker of another process that has posted a submission and lives."""
    made: list[subprocess.Popen[str]] = []

    def start(entry: Entry) -> subprocess.Popen[str]:
        scratch = world.dead(entry).rename(world.top / "scratch")
        command = [sys.executable, "-c", HOLDER, str(world.spool.directory), str(scratch)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        made.append(process)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    yield start
    for process in made:
        process.kill()
        process.communicate()


def test_leaves_a_living_run_alone(another: Callable[[Entry], subprocess.Popen[str]], world: World) -> None:
    """With --nolock another run works here: neither its journal nor its jobs are touched until it is dead."""
    world.write("t")
    process = another(world.entry("t"))
    theirs = journals(world.spool.directory)
    journal, legacy = take_over(world.spool)
    journal.close()

    assert legacy.entries == []
    assert journals(world.spool.directory) == theirs
    assert world.order("t") == "run"

    process.send_signal(signal.SIGKILL)
    process.wait()
    journal, legacy = take_over(world.spool)
    journal.close()
    assert tokens(legacy) == {"t"}
    assert journals(world.spool.directory) == [journal.path]


def test_leaves_a_run_alone_that_begins_just_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another run makes after this one has looked round is none that nobody knows."""
    living: list[Journal] = []

    def begin(directory: Path) -> list[Path]:
        if not living:
            living.append(Journal(directory))
            intend(living[0], world.entry("t"))
            world.write("t")
        return []

    monkeypatch.setattr(recovery, "journals", begin)
    journal, legacy = take_over(world.spool)
    journal.close()
    living[0].close()

    assert legacy.entries == []
    assert world.order("t") == "run"


def unlinks(path: Path, number: int) -> bool:
    """Lock a journal; another run was quicker, has taken it over and has removed it."""
    path.unlink()
    return number > 0


@pytest.mark.parametrize("when", ["before it is opened", "before it is read"])
def test_clears_nothing_away_that_another_run_has_just_taken_over(
    when: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that start at the same time: what the journal said, which only one could read, is the other's now."""
    former = world.dead(world.entry("t"))
    world.write("t")
    if when == "before it is opened":
        monkeypatch.setattr(recovery, "journals", lambda _: [former])
        former.unlink()
    else:
        monkeypatch.setattr(recovery, "lock", lambda number: unlinks(former, number))
    journal, legacy = take_over(world.spool)
    journal.close()

    assert legacy.entries == []
    assert world.order("t") == "run"


@pytest.mark.parametrize(
    ("claimed", "end", "stays"),
    [
        (False, None, False),
        (True, None, True),
        (True, (0, "own"), False),
        (True, (3, "own"), False),
        (True, (143, "cancelled"), False),
    ],
)
def test_clears_away_what_nobody_knows(
    claimed: bool,  # noqa: FBT001 - a row of the table
    end: tuple[int, str] | None,
    stays: bool,  # noqa: FBT001 - a row of the table
    world: World,
) -> None:
    """A run directory that stands in no journal is removed, unless its job may be running: that is cancelled."""
    world.write("t")
    if claimed:
        world.claims("t")
    if end:
        world.ends("t", *end)
    journal, _ = take_over(world.spool)
    journal.close()

    assert world.directories == ({"t"} if stays else set())
    assert not stays or world.order("t") == "cancel"
    assert not world.spool.done_entry("t").exists()


def test_clears_away_ends_without_a_directory(world: World) -> None:
    """An entry in the listing of ends that nobody waits for goes."""
    world.write("t")
    world.ends("t")
    world.spool.remove_job("t")
    take_over(world.spool)[0].close()

    assert not world.spool.done_entry("t").exists()


def test_keeps_what_open_submissions_look_into(world: World) -> None:
    """A job that waits may look for the end of another, whose own run directory has to stay as long."""
    world.dead(world.entry("u"), world.entry("t", upstream=["u"]), u=Event.SETTLED)
    for token in ("u", "t"):
        world.write(token)
    journal, legacy = take_over(world.spool)
    journal.close()

    assert tokens(legacy) == {"t"}
    assert world.directories == {"u", "t"}


def test_journal_that_cannot_be_written_is_one_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk stops Snakemake before anything is submitted, and what was left stays as it was."""
    former = world.dead(world.entry("t"))
    world.write("t")
    write, room = os.write, [300]

    def fill(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill)
        with pytest.raises(SettingsError) as caught:
            take_over(world.spool)
    line = str(caught.value)

    assert line.startswith(f"{world.spool.directory} cannot be written (No space left on device); ")
    assert "\n" not in line
    assert former.exists()
    assert world.directories == {"t"}
    journal, legacy = take_over(world.spool)
    journal.close()
    assert tokens(legacy) == {"t"}


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_journal_that_cannot_be_read_is_one_line(kind: str, world: World) -> None:
    """Nothing is submitted a second time because what was submitted cannot be read."""
    path = world.spool.directory / "journal-20260101T000000-x.jsonl"
    if kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(world.top / "elsewhere")
    world.write("t")
    with pytest.raises(SettingsError, match=r"^.*journal-.* cannot be read \(.*\), which tells [^\n]*$"):
        take_over(world.spool)

    assert world.order("t") == "run"
    assert journals(world.spool.directory) == [path]


# Matching -------------------------------------------------------------------------------------------------------------

CHANGED = "its code, parameters, inputs or outputs are others now"


def never(_: Collection[str]) -> Sequence[Work]:
    """Stand for the works where a submission makes more; it is not asked."""
    raise AssertionError


def ask(legacy: Legacy, works: Sequence[Work], request: JobRequest = REQUEST, attempt: int = 1) -> Match:
    """Ask for a job that makes all that the submission makes."""
    return legacy.match(works, request, attempt, never)


def nothing(_: World) -> None:
    """It waits, or was never heard of again."""


def runs(world: World) -> None:
    """Its job has claimed it."""
    world.claims("t")


def ends(exit_code: int = 0, cause: str = "own", *, makes: bool = True) -> Callable[[World], None]:
    """Its job has ended."""

    def end(world: World) -> None:
        world.claims("t")
        world.ends("t", exit_code, cause)
        if makes:
            world.makes("t")

    return end


def starts_again(world: World) -> None:
    """Slurm has ended its job, and started it once more."""
    ends(143, "signal", makes=False)(world)
    (world.spool.job_directory("t") / "started").write_text("id=101 restart=1 node=n cluster=frce\n")


def is_cancelled(world: World) -> None:
    """It was cancelled before it began."""
    world.spool.order_cancel("t")


def is_gone(world: World) -> None:
    """Its run directory was removed."""
    world.spool.remove_job("t")


def has_a_broken_link(world: World) -> None:
    """It has ended, and its output is a link to something that is not there."""
    ends(makes=False)(world)
    (world.top / "t").symlink_to("nowhere")


def listed(state: JobState, then: Callable[[World], None] = runs) -> Callable[[World], None]:
    """The listing shows its job."""

    def show(world: World) -> None:
        then(world)
        world.lists(state)

    return show


def both(first: Callable[[World], None], second: Callable[[World], None]) -> Callable[[World], None]:
    """One thing after another."""

    def happen(world: World) -> None:
        first(world)
        second(world)

    return happen


FATES: dict[str, tuple[Callable[[World], None], Step, str]] = {
    "queued": (nothing, Step.ADOPT, ""),
    "listed as pending": (listed(JobState.PENDING, nothing), Step.ADOPT, ""),
    "running": (runs, Step.ADOPT, ""),
    "listed as running": (listed(JobState.RUNNING), Step.ADOPT, ""),
    "listed by a word that nobody knows": (listed(JobState.UNKNOWN), Step.ADOPT, ""),
    "requeued": (listed(JobState.PENDING, ends(143, "signal", makes=False)), Step.ADOPT, ""),
    "started again, not listed": (starts_again, Step.ADOPT, ""),
    "preempted": (listed(JobState.PREEMPTED), Step.ADOPT, ""),
    "lost its node": (listed(JobState.NODE_FAIL, ends(143, "signal", makes=False)), Step.ADOPT, ""),
    "listed as completed, its end not yet there": (listed(JobState.COMPLETED), Step.ADOPT, ""),
    "ended well": (ends(), Step.TAKE, ""),
    "ended well, listed as failed": (listed(JobState.FAILED, ends()), Step.TAKE, ""),
    "ended well, its output a broken link": (has_a_broken_link, Step.TAKE, ""),
    "ended well, cancelled too late": (both(ends(), is_cancelled), Step.TAKE, ""),
    "ended well, its output gone": (ends(makes=False), Step.REPLACE, "its output {top}/t is gone"),
    "cancelled": (is_cancelled, Step.REPLACE, "it was cancelled"),
    "cancelled while it runs": (both(runs, is_cancelled), Step.REPLACE, "it was cancelled"),
    "directory gone": (is_gone, Step.REPLACE, "it was cancelled"),
    "failed": (ends(3), Step.REPLACE, "it has failed meanwhile with exit code 3"),
    "failed, listed as failed": (
        listed(JobState.FAILED, ends(3)),
        Step.REPLACE,
        "it has failed meanwhile with exit code 3",
    ),
    "ended by a signal long ago": (ends(143, "signal"), Step.REPLACE, "it was ended by a signal from outside"),
    "its upstream job failed": (ends(76, "upstream"), Step.REPLACE, "its upstream job has not succeeded"),
    **{
        f"listed as {state.value}": (listed(state), Step.REPLACE, f"it has ended meanwhile: {state.value}")
        for state in (JobState.FAILED, JobState.TIMEOUT, JobState.OUT_OF_MEMORY, JobState.CANCELLED, JobState.DEADLINE)
    },
    "cancelled in the queue": (
        listed(JobState.CANCELLED, nothing),
        Step.REPLACE,
        "it has ended meanwhile: CANCELLED",
    ),
}


@pytest.mark.parametrize(("happens", "step", "reason"), FATES.values(), ids=FATES)
def test_job_that_has_not_changed_is_taken_as_it_is(
    happens: Callable[[World], object], step: Step, reason: str, world: World
) -> None:
    """What goes on is adopted, what has ended well is taken, what can serve no more is replaced."""
    world.write("t")
    happens(world)
    entry = replace(world.entry("t"), external_jobid="101")

    assert ask(world.legacy(entry), world.works("t")) == Match(step, (entry,), reason.format(top=world.top))


@pytest.mark.parametrize("happens", [nothing, runs, ends()], ids=["queued", "running", "ended"])
@pytest.mark.parametrize(
    ("before", "now"),
    [("5eed", "other"), ("5eed", ""), ("", "5eed"), ("", "")],
    ids=["changed", "cannot be told", "could not be told", "can never be told"],
)
def test_job_that_has_changed_is_replaced(
    before: str, now: str, happens: Callable[[World], object], world: World
) -> None:
    """Whatever its job does, it does it with other code, parameters or inputs."""
    world.write("t")
    happens(world)
    entry = replace(world.entry("t"), works=world.works("t", signature=before))

    assert ask(world.legacy(entry), world.works("t", signature=now)) == Match(Step.REPLACE, (entry,), CHANGED)


@pytest.mark.parametrize(
    ("happens", "request_now", "attempt", "step"),
    [
        (nothing, MORE, 1, Step.REPLACE),
        (nothing, REQUEST, 1, Step.ADOPT),
        (nothing, MORE, 2, Step.ADOPT),
        (nothing, REQUEST, 2, Step.ADOPT),
        (runs, MORE, 1, Step.ADOPT),
        (ends(), MORE, 1, Step.TAKE),
    ],
)
def test_job_that_waits_with_other_resources_is_replaced(
    happens: Callable[[World], object], request_now: JobRequest, attempt: int, step: Step, world: World
) -> None:
    """What the user asks for now counts until the job has begun; a later attempt asks for more by itself."""
    world.write("t")
    happens(world)
    match = ask(world.legacy(world.entry("t")), world.works("t"), request_now, attempt)

    assert match.step is step
    assert match.reason == ("it waits with other resources" if step is Step.REPLACE else "")


def test_looks_for_the_job_that_has_claimed_it_meanwhile(world: World) -> None:
    """A twin has ended with 75, which the listing shows as a failure; the job that runs is another one."""
    world.write("t")
    world.claims("t", "102")
    world.lists(JobState.FAILED)
    world.lists(JobState.RUNNING, "102")

    assert ask(world.legacy(replace(world.entry("t"), external_jobid="101")), world.works("t")).step is Step.ADOPT


def test_adopts_a_job_that_ends_while_it_is_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first look finds no end, and any other would: the job is no failure, and is not run again."""
    world.write("t")
    runs(world)
    look = Spool.latest_end

    def end_after(spool: Spool, token: str) -> End | None:
        end = look(spool, token)
        ends()(world)
        return end

    monkeypatch.setattr(Spool, "latest_end", end_after)
    assert ask(world.legacy(world.entry("t")), world.works("t")).step is Step.ADOPT


def test_knows_ended_jobs_from_the_journal_too(world: World) -> None:
    """The end was seen, and its directory removed, before Snakemake could record it."""
    world.makes("t")

    assert ask(world.legacy(replace(world.entry("t"), ended=True)), world.works("t")).step is Step.TAKE


def test_takes_a_job_that_makes_no_file(world: World) -> None:
    """What has no output cannot have lost it."""
    works = (Work("map", ("(no output) map {}",), "5eed"),)
    world.write("t")
    ends(makes=False)(world)

    assert ask(world.legacy(replace(world.entry("t"), works=works)), works).step is Step.TAKE


def test_submits_what_nobody_has_submitted(world: World) -> None:
    """A job that makes something else has nothing to do with what was left."""
    world.write("t")
    legacy = world.legacy(world.entry("t"))

    assert ask(legacy, world.works("other")) == Match(Step.SUBMIT)
    assert tokens(legacy) == {"t"}


def test_replaces_several_that_overlap(world: World) -> None:
    """Two jobs that make the same file must both be over."""
    entries = [world.entry("a", "x"), world.entry("b", "x", "y")]
    for token in ("a", "b"):
        world.write(token)

    assert ask(world.legacy(*entries), world.works("x")) == Match(
        Step.REPLACE, tuple(entries), "several jobs make the same"
    )


def test_replaces_what_makes_less(world: World) -> None:
    """A group that has got a further member is another one."""
    world.write("t")

    assert ask(world.legacy(world.entry("t", "x")), world.works("x", "y")).reason == CHANGED


# Groups ---------------------------------------------------------------------------------------------------------------


@dataclass
class Group:
    """A group of three that an earlier run has submitted, of which two are jobs of this run, each by itself.

    Attributes:
        legacy: what was left.
        entry: its submission.
    """

    world: World
    entry: Entry
    legacy: Legacy
    asked: list[Collection[str]] = field(default_factory=list)

    def match(self, name: str, *, signature: str = "5eed", request: JobRequest = REQUEST) -> Match:
        """Ask for one of its members; by itself it has another signature."""

        def with_others(made: Collection[str]) -> Sequence[Work]:
            self.asked.append(made)
            return self.world.works(name, signature=signature)

        return self.legacy.match(self.world.works(name, signature="alone"), request, 1, with_others)


@pytest.fixture
def group(world: World) -> Group:
    """Its job runs."""
    world.write("t")
    world.claims("t")
    entry = world.entry("t", "a", "b", "c")
    return Group(world, entry, world.legacy(entry))


def test_member_is_compared_as_one_of_its_group(group: Group) -> None:
    """What a member reads from another one has no version that both runs could know."""
    assert group.match("b") == Match(Step.ADOPT, (group.entry,))
    assert group.asked == [group.entry.products]


def test_second_member_shares_what_the_first_has_adopted(group: Group) -> None:
    """None of them may run a second time beside the group."""
    assert [group.match(name).step for name in "bca"] == [Step.ADOPT, Step.SHARE, Step.SHARE]
    assert group.legacy.entries == []


def test_second_member_shares_whatever_it_asks_for(group: Group) -> None:
    """What a part of a group asks for is less than what the group does; that it waits is no reason to replace it."""
    (group.world.spool.job_directory("t") / "claim").unlink()
    group.match("b")

    assert group.match("c", request=MORE).step is Step.SHARE


def test_second_member_takes_what_has_ended_meanwhile(group: Group) -> None:
    """A member that becomes ready after the end of the group was reported has been made."""
    group.match("b")
    group.world.makes("a", "b", "c")
    group.legacy.note_ended("t")
    group.world.spool.remove_job("t")

    assert group.match("c").step is Step.TAKE


def test_second_member_is_submitted_after_a_failure(group: Group) -> None:
    """What has failed for one of them, and was reported, is not replaced by the others."""
    group.match("b")
    group.legacy.note_failed("t")

    assert group.match("c") == Match(Step.SUBMIT)


def test_second_member_that_has_changed_waits(group: Group) -> None:
    """It may not run beside the group, which makes the same from something else."""
    group.match("b")

    assert group.match("c", signature="other") == Match(Step.REPLACE, (group.entry,), CHANGED)


def test_second_member_waits_for_what_the_first_has_replaced(group: Group) -> None:
    """It may not run beside a group that is being cancelled."""
    assert group.match("b", signature="other").step is Step.REPLACE
    group.world.spool.order_cancel("t")

    assert group.match("c") == Match(Step.REPLACE, (group.entry,), "it was cancelled")


@pytest.mark.parametrize("signature", ["5eed", "other"])
def test_next_attempt_of_a_job_is_submitted(signature: str, group: Group) -> None:
    """What a job has adopted or replaced is over for it when it comes again."""
    group.match("b", signature=signature)

    assert group.match("b", signature=signature) == Match(Step.SUBMIT)


def test_ends_of_this_run_are_no_legacy(world: World) -> None:
    """What this run itself has submitted is noted in the same way, and changes nothing."""
    legacy = world.legacy(world.entry("t"))
    legacy.note_ended("mine")
    legacy.note_failed("mine")

    assert tokens(legacy) == {"t"}


def test_forgets_what_was_recorded(world: World) -> None:
    """A job whose record Snakemake has is no job of this run's."""
    world.write("t")
    entry = world.entry("t")
    legacy = world.legacy(entry)
    legacy.remove(entry)

    assert legacy.entries == []
    assert ask(legacy, world.works("t")) == Match(Step.SUBMIT)


@pytest.mark.parametrize(
    ("state", "is_alive"),
    [(JobState.PENDING, True), (JobState.RUNNING, True), (JobState.COMPLETED, False), (None, False)],
)
def test_tells_whether_a_job_has_to_be_cancelled(state: JobState | None, is_alive: bool, world: World) -> None:  # noqa: FBT001 - a table
    """Only what the listing shows as alive is worth a call."""
    if state:
        world.lists(state)

    assert world.legacy().is_listed_alive(replace(world.entry("t"), external_jobid="101")) is is_alive


# Submitted before its inputs ------------------------------------------------------------------------------------------


@pytest.fixture
def chain(world: World) -> list[Entry]:
    """Three jobs that wait, a, b and c, each submitted behind the one before it when its input was not there."""
    entries = [world.entry("a")]
    for before, name in ("ab", "bc"):
        upstream = replace(REQUEST, dependency="afterok:7")
        behind = world.entry(name, upstream=[before])
        entries.append(replace(behind, awaited=(str(world.top / before),), request=upstream))
    for entry in entries:
        world.write(entry.token)
    return entries


@pytest.mark.parametrize("awaited", [("a",), ()], ids=["still to be made", "made"])
def test_knows_again_what_was_submitted_before_its_inputs(
    world: World, chain: list[Entry], awaited: tuple[str, ...]
) -> None:
    """Neither the version of its inputs counts, nor whether this run waits for the same jobs."""
    asked: list[Collection[str]] = []

    def unversioned(files: Collection[str]) -> Sequence[Work]:
        asked.append(files)
        return world.works("b")

    inputs = [str(world.top / name) for name in awaited]
    match = world.legacy(*chain).match(world.works("b", signature="with versions"), REQUEST, 1, unversioned, inputs)

    assert match == Match(Step.ADOPT, (chain[1],))
    assert asked == [{str(world.top / "a"), str(world.top / "b")}]


def test_replaces_what_had_an_input_that_is_made_anew(world: World) -> None:
    """A job that was submitted when its input was there does not serve if that is still to be made now."""
    entry = world.entry("b")
    world.write("b")
    match = world.legacy(entry).match(world.works("b"), REQUEST, 1, never, [str(world.top / "a")])

    assert match == Match(Step.REPLACE, (entry,), "one of its inputs is made anew")


@pytest.mark.parametrize(
    ("name", "signature", "step", "replaced"),
    [("a", "5eed", Step.ADOPT, "a"), ("a", "other", Step.REPLACE, "abc"), ("b", "other", Step.REPLACE, "bc")],
)
def test_replaces_all_behind_what_is_made_anew(
    world: World, chain: list[Entry], name: str, signature: str, step: Step, replaced: str
) -> None:
    """They would read something else than was known of them; what goes on leaves them alone."""
    legacy = world.legacy(*chain)
    works = world.works(name, signature=signature)
    match = legacy.match(works, REQUEST, 1, lambda _: works)

    assert match.step is step
    assert "".join(entry.token for entry in match.entries) == replaced
    assert tokens(legacy) == set("abc") - set(replaced)
    assert [legacy.knows([str(world.top / other)]) for other in "abc"] == [other not in replaced for other in "abc"]


def test_replaces_what_waits_for_a_job_of_which_nothing_is_known(world: World, chain: list[Entry]) -> None:
    """An earlier run's job has ended and is recorded, and is made anew by this one: those behind it are replaced."""
    legacy = world.legacy(*chain[1:])
    match = legacy.match(world.works("a"), REQUEST, 1, never)

    assert match == Match(Step.REPLACE, tuple(chain[1:]), "it waits for a job that is submitted anew")
    assert legacy.match(world.works("b"), REQUEST, 1, never) == Match(Step.SUBMIT)


def test_tells_what_it_knows(world: World, chain: list[Entry]) -> None:
    """What is known of a product is known until a job has claimed it."""
    legacy = world.legacy(*chain)
    assert legacy.knows([str(world.top / "a")])
    assert not legacy.knows([str(world.top / "d")])

    legacy.match(world.works("a"), REQUEST, 1, never)
    assert not legacy.knows([str(world.top / "a")])


def test_journal_keeps_what_was_awaited(world: World, chain: list[Entry]) -> None:
    """The next run reads it as this one has written it."""
    world.dead(*chain)
    journal, legacy = take_over(world.spool)
    journal.close()

    assert {entry.token: entry.awaited for entry in legacy.entries} == {entry.token: entry.awaited for entry in chain}
