"""Tests of submissions without an answer: when they are found, and when they are sent again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.unknown import MOST_LOOKS, UnknownSubmissions
from tests.submissions import a_policy, a_submission

PATIENCE = 60.0


@dataclass
class World:
    """Submissions without an answer, and a clock that is set by hand."""

    spool: Spool
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.unknown = UnknownSubmissions(self.spool, a_policy(unknown_seconds=PATIENCE), lambda: self.now)

    def add(self, token: str, posts: int = 1) -> Submission:
        """Add one that this run has posted so often, and an earlier one twice."""
        item = a_submission(
            token,
            posts=2 + posts,
            posts_before=2,
        )
        self.unknown.add(item)
        return item

    def claims(self, token: str, text: str = "101\n") -> None:
        """Write a claim."""
        self.spool.job_directory(token).mkdir()
        (self.spool.job_directory(token) / "claim").write_text(text)

    def due(self, listed: float = 1e9) -> list[str]:
        """The tokens of those to send again."""
        return [item.token for item in self.unknown.due(listed)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """No submission."""
    return World(Spool(tmp_path))


def test_finds_those_that_jobs_have_claimed(world: World) -> None:
    """The job that has claimed a submission is its job; nothing else tells."""
    for token in ("claimed", "torn", "not claimed"):
        world.add(token)
    world.claims("claimed")
    world.claims("torn", "")

    assert [(item.token, owner) for item, owner in world.unknown.found()] == [("claimed", "101")]
    assert len(world.unknown.items) == 3


@pytest.mark.parametrize(
    ("waited", "listed", "is_due"),
    [
        (PATIENCE, 1.0, True),
        (PATIENCE - 0.1, 1.0, False),
        (PATIENCE, 0.0, False),
        (10 * PATIENCE, -1.0, False),
    ],
)
def test_sends_again_after_a_while_if_the_api_answers(
    waited: float,
    listed: float,
    is_due: bool,  # noqa: FBT001 - a row of the table
    world: World,
) -> None:
    """A claim has had time to appear, and a listing has come since the submission was lost."""
    world.add("t")
    begin, world.now = world.now, world.now + waited

    assert world.due(begin + listed) == (["t"] if is_due else [])


@pytest.mark.parametrize(("posts", "patience"), [(0, PATIENCE), (1, PATIENCE), (2, 2 * PATIENCE), (4, 8 * PATIENCE)])
def test_waits_longer_each_time(posts: int, patience: float, world: World) -> None:
    """What this run has posted counts; what an earlier run has posted, and nobody has seen, makes no wait longer."""
    world.add("t", posts)
    world.now += patience - 1
    assert world.due() == []

    world.now += 1
    assert world.due() == ["t"]


def test_sends_none_again_that_was_claimed_just_now(world: World) -> None:
    """The last look is the one that counts."""
    world.add("t")
    world.now += PATIENCE
    world.claims("t")

    assert world.due() == []


def test_keeps_what_is_being_sent_again(world: World) -> None:
    """It is neither sent twice nor forgotten meanwhile; without an answer it is looked for anew."""
    item = world.add("t")
    world.now += PATIENCE
    assert world.due() == ["t"]
    assert world.due() == []
    assert world.unknown.items == [item]
    world.claims("t")
    assert list(world.unknown.found()) == []

    world.unknown.add(item)
    assert world.due() == []
    assert list(world.unknown.found()) == [(item, "101")]
    world.now += PATIENCE
    (world.spool.job_directory("t") / "claim").unlink()
    assert world.due() == ["t"]


def test_forgets_those_whose_outcome_is_known(world: World) -> None:
    """They are looked for no longer, even if they were none of these."""
    item = world.add("t")
    other = world.add("u")
    world.unknown.remove(other)
    world.unknown.remove(other)

    assert world.unknown.items == [item]
    assert other.unknown_since is None


def test_looks_at_a_few_at_a_time_and_at_all_in_turn(world: World) -> None:
    """Thousands of submissions without an answer are not thousands of files a second."""
    many = 2 * MOST_LOOKS + 1
    for number in range(many):
        world.add(str(number))
        world.claims(str(number), f"{number + 1}\n")
    found = [len(list(world.unknown.found())) for _ in range(4)]

    assert found == [MOST_LOOKS, MOST_LOOKS, 1, MOST_LOOKS]
