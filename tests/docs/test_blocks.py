"""Every block of code in the documentation runs, or is checked as far as it can be.

`PLAN` names all of them, chapter by chapter and in their order. A block that it does not name fails the tests, as does
a name without a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig
from tests.docs import steps
from tests.docs.desk import Desk, set_up
from tests.docs.pages import PAGES, Page

PLAN: Mapping[tuple[str, str], list[tuple[str, steps.Step]]] = {
    ("README.md", "Install"): [("console", steps.installation)],
    ("README.md", "Try it without a cluster"): [("console", steps.shell)],
    ("README.md", "First run on FRCE"): [("console", steps.shell)],
    ("README.md", "Two commands for developers"): [("console", steps.make_targets)],
    ("docs/further.md", "Coming from the slurm executor"): [("console", steps.shell)],
    ("docs/further.md", "First run on FRCE"): [
        ("yaml", steps.profile),
        ("console", steps.shell),
        ("console", steps.shell),
    ],
    ("docs/further.md", "Partitions"): [("yaml", steps.partition_file)],
    ("docs/further.md", "When Snakemake was killed"): [("console", steps.shell_with_profile)],
    ("docs/further.md", "Running from outside"): [("console", steps.arguments)],
    ("docs/further.md", "Testing your workflow in CI"): [
        ("python", steps.file("test_workflow.py")),
        ("python", steps.file("conftest.py")),
        ("yaml", steps.github),
        ("yaml", steps.gitlab),
    ],
    ("docs/further.md", "Look-ahead and immediate submit"): [("console", steps.shell_with_profile)],
    ("docs/further.md", "Reports"): [("text", steps.summary_line), ("text", steps.advice_line)],
}
"""Page and chapter → for each block its language, and what is done with it."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A place for the blocks of one chapter."""
    directory = tmp_path / "work"
    directory.mkdir()
    with Sandbox(SandboxConfig(cpus=4, mem_mb=64_000)) as sandbox:
        yield set_up(directory, sandbox)


def test_every_block_has_its_place_in_the_plan() -> None:
    """No block is passed over, and none is only remembered."""
    found: dict[tuple[str, str], list[str]] = {}
    for page in PAGES:
        for block in page.blocks():
            found.setdefault((page.name, block.chapter), []).append(block.language)

    assert found == {place: [language for language, _ in steps] for place, steps in PLAN.items()}


@pytest.mark.parametrize(("page", "chapter"), PLAN, ids=map(": ".join, PLAN))
def test_blocks_of_a_chapter_work(page: str, chapter: str, desk: Desk) -> None:
    """They are run in their order and find what those before them have made."""
    blocks = [block for block in Page(page).blocks() if block.chapter == chapter]
    for block, (_, step) in zip(blocks, PLAN[page, chapter], strict=True):
        step(desk, block.text)
