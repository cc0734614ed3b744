"""Patterns of workflows, each a part of a Snakefile; several of them make one workflow."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests import sealed


@dataclass(frozen=True, slots=True)
class Pattern:
    """A part of a workflow. Its jobs begin with the file ``seed``.

    Attributes:
        rules: its rules.
        targets: what it makes in the end.
        middle: output of a job in its middle, whose failure leaves the targets unmade.
        before: outputs that do not wait for that one and come last, apart from it.
    """

    rules: str
    targets: tuple[str, ...]
    middle: str
    before: tuple[str, ...] = ()


_MAKE = "python sealed.py {output} -- {input}"

PATTERNS = {
    "chain": Pattern(
        """
        rule chain_first:
            input: "seed"
            output: "chain/0"
            shell: "MAKE"
        rule chain_next:
            input: lambda wildcards: f"chain/{int(wildcards.level) - 1}"
            output: "chain/{level}"
            wildcard_constraints: level="[1-9]"
            resources: disk_mb=lambda wildcards, input: max(1, input.size_mb)
            shell: "MAKE"
        """,
        ("chain/3",),
        "chain/1",
    ),
    "diamond": Pattern(
        """
        rule diamond_top:
            input: "seed"
            output: temp("diamond/top"), temp("diamond/rest")
            shell: "MAKE"
        rule diamond_side:
            input: "diamond/top"
            output: temp("diamond/{side,left|right}")
            log: "logs/diamond/{side}.log"
            shell: "echo {wildcards.side} >{log}; MAKE"
        rule diamond_bottom:
            input: "diamond/left", "diamond/right", "diamond/rest"
            output: "diamond/bottom"
            shell: "MAKE"
        """,
        ("diamond/bottom",),
        "diamond/left",
        ("diamond/right",),
    ),
    "fan": Pattern(
        """
        rule fan_out:
            input: "seed"
            output: expand("fan/{n}", n=range(3))
            shell: "MAKE"
        rule fan_each:
            input: "fan/{n}"
            output: "fan/{n}.each"
            threads: 2
            shell: "MAKE -- {threads}"
        rule fan_in:
            input: expand("fan/{n}.each", n=range(3))
            output: "fan/in"
            benchmark: "benchmarks/fan"
            shell: "MAKE"
        """,
        ("fan/in",),
        "fan/1.each",
        ("fan/0.each", "fan/2.each"),
    ),
    "checkpoint": Pattern(
        """
        def checkpoint_parts(wildcards):
            made = Path(checkpoints.checkpoint_split.get().output[0])
            return [f"checkpoint/{part.name}.part" for part in sorted(made.glob("[a-z]*"))]

        rule checkpoint_before:
            input: "seed"
            output: "checkpoint/before"
            shell: "MAKE"
        checkpoint checkpoint_split:
            input: "checkpoint/before"
            output: directory("checkpoint/split.d")
            shell: "MAKE"
        rule checkpoint_part:
            input: "checkpoint/split.d"
            output: "checkpoint/{name}.part"
            shell: "MAKE"
        rule checkpoint_gather:
            input: checkpoint_parts
            output: "checkpoint/gathered"
            shell: "MAKE"
        rule checkpoint_behind:
            input: "checkpoint/gathered"
            output: "checkpoint/behind"
            shell: "MAKE"
        """,
        ("checkpoint/behind",),
        "checkpoint/two.part",
        ("checkpoint/one.part",),
    ),
    "group": Pattern(
        """
        rule group_before:
            input: "seed"
            output: "group/before"
            shell: "MAKE"
        rule group_first:
            input: "group/before"
            output: temp("group/first")
            group: "pair"
            shell: "MAKE"
        rule group_second:
            input: "group/first", "group/before"
            output: "group/second"
            group: "pair"
            shell: "MAKE"
        rule group_behind:
            input: "group/second"
            output: "group/behind"
            shell: "MAKE"
        """,
        ("group/behind",),
        "group/second",
    ),
    "retries": Pattern(
        """
        rule retries_before:
            input: "seed"
            output: "retries/before"
            shell: "MAKE"
        rule retries_flaky:
            input: "retries/before"
            output: "retries/flaky"
            retries: 1
            resources: mem_mb=lambda wildcards, attempt: 300 + 100 * attempt
            shell: "MAKE"
        rule retries_behind:
            input: "retries/flaky"
            output: "retries/behind"
            shell: "MAKE"
        """,
        ("retries/behind",),
        "retries/flaky",
    ),
    "flags": Pattern(
        """
        rule flags_touch:
            input: "seed"
            output: touch("flags/touched.flag"), ensure("flags/ensured", non_empty=True)
            shell: "MAKE"
        rule flags_protected:
            input: ancient("flags/ensured"), "flags/touched.flag"
            output: protected("flags/protected"), directory("flags/many.d")
            shell: "MAKE"
        rule flags_shadow:
            input: "flags/protected", "flags/many.d", "sealed.py"
            output: "flags/shadow"
            shadow: "minimal"
            shell: "python sealed.py {output} -- {input[0]} {input[1]}"
        """,
        ("flags/shadow",),
        "flags/protected",
    ),
    "scripts": Pattern(
        """
        rule scripts_script:
            input: "seed"
            output: "scripts/script"
            params: "a b", number=7
            script: "payload.py"
        rule scripts_run:
            input: "scripts/script"
            output: "scripts/run"
            params: lines=lambda wildcards, input: sum(1 for line in open(input[0]))
            run:
                shell("MAKE -- {params.lines}")
        rule scripts_behind:
            input: "scripts/run"
            output: "scripts/behind"
            params: first=lambda wildcards, input: open(input[0]).readline().strip()
            shell: "MAKE -- {params.first:q}"
        """,
        ("scripts/behind",),
        "scripts/run",
    ),
    "resources": Pattern(
        """
        rule resources_before:
            input: "seed"
            output: "resources/before"
            shell: "MAKE"
        rule resources_sized:
            input: "resources/before"
            output: "resources/sized"
            resources: mem_mb=lambda wildcards, input: 400 + input.size
            shell: "MAKE -- {resources.mem_mb}"
        rule resources_limited:
            input: "resources/before"
            output: "resources/limited"
            resources: db=1
            shell: "MAKE"
        rule resources_peeked:
            input: "resources/before"
            output: "resources/peeked"
            resources: mem_mb=lambda wildcards: 400 + len(open("resources/before").read()) % 10
            shell: "MAKE -- {resources.mem_mb}"
        rule resources_behind:
            input: "resources/sized", "resources/limited", "resources/peeked"
            output: "resources/behind"
            resources: mem_mb=350, runtime=5
            shell: "MAKE -- {resources.mem_mb}"
        """,
        ("resources/behind",),
        "resources/limited",
        ("resources/sized", "resources/peeked"),
    ),
    "modules": Pattern(
        """
        module part:
            snakefile: "part.smk"
            config: {"word": "given"}
        use rule * from part as part_*
        use rule second from part as own_second with:
            output: "modules/own"
            params: word="own"
        rule modules_behind:
            input: "modules/own", "modules/second"
            output: "modules/behind"
            shell: "MAKE"
        """,
        ("modules/behind",),
        "modules/own",
        ("modules/second",),
    ),
}
"""The patterns by name. Together they stay small, because each job costs the seconds that Snakemake needs in it."""

_PART = """
rule first:
    input: "seed"
    output: "modules/first"
    shell: "MAKE -- word"
rule second:
    input: "modules/first"
    output: "modules/second"
    params: word=config["word"]
    shell: "MAKE -- {params.word}"
"""

_SCRIPT = """
import os, sys
sys.path.insert(0, os.getcwd())
import sealed
sealed.make(list(snakemake.output), list(snakemake.input), [*map(str, snakemake.params)])
"""


def lay_out(directory: Path, names: Iterable[str] = PATTERNS) -> None:
    """Write a workflow of some patterns and all that it needs to a directory."""
    patterns = [PATTERNS[name] for name in names]
    targets = ", ".join(repr(target) for pattern in patterns for target in pattern.targets)
    rules = [textwrap.dedent(pattern.rules).strip("\n") for pattern in patterns]
    text = "\n".join(["from pathlib import Path", f"rule all:\n    input: {targets}\n    localrule: True", *rules])
    for name, content in (("Snakefile", text), ("part.smk", _PART), ("payload.py", _SCRIPT)):
        (directory / name).write_text(content.replace("MAKE", _MAKE) + "\n", encoding="utf-8")
    (directory / "sealed.py").write_text(Path(sealed.__file__).read_text("utf-8"), encoding="utf-8")
    (directory / "orders").mkdir()
    sow(directory, "first")


def sow(directory: Path, word: str) -> None:
    """Write the file with which all patterns begin, anew."""
    sealed.write(directory / "seed", word)


def order(directory: Path, output: str, *words: str) -> None:
    """Give the payload of an output an order, as `tests.sealed` tells; no words take it back."""
    path = directory / "orders" / output.replace("/", "_")
    if words:
        path.write_text(" ".join(words), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)
