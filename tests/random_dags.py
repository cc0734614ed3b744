"""Random workflows: DAGs of small jobs with flags, resources, groups, failures and timings by chance."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import sealed
from tests.patterns import order

_FLAGS = {
    "": 8,
    "temp": 3,
    "protected": 1,
    "touch": 1,
    "directory": 2,
    "ensure": 1,
}
"""Flags of outputs, and how often each is used."""

_SUFFIXES = {"touch": ".flag", "directory": ".d"}
_TRAITS = {
    "localrule: True": 1,
    "resources: frceapi_lookahead=0": 1,
    "resources: db=1": 2,
    "resources: mem_mb=lambda wildcards, input: 300 + input.size": 1,
    "resources: mem_mb=lambda wildcards, attempt: 300 * attempt": 2,
    "retries: 1": 1,
    "threads: 2": 1,
    "priority: 5": 1,
    'shadow: "minimal"': 1,
    "": 12,
}
"""Lines of rules, and how often each is used."""

_QUICK_JOBS = """\
#!/bin/bash
# properties = {properties}
exec python quick.py "$0"
"""
"""A jobscript whose job does what the rules would do, without the seconds that Snakemake needs for that."""

_QUICK = """
import json, pathlib, sys
import sealed
dag = json.load(open("dag.json"))
def make(output):
    for name in dag[output]["inputs"]:
        if dag.get(name, {}).get("group") == dag[output]["group"] != "" and not pathlib.Path(name).exists():
            make(name)
    sealed.make([output], dag[output]["inputs"], pause_seconds=dag[output]["pause"])
    if output.endswith(".flag"):
        pathlib.Path(output).touch()
for output in json.loads(open(sys.argv[1]).readlines()[1].partition(" = ")[2])["output"]:
    make(output)
"""


@dataclass(slots=True)
class _Node:
    """One job, of a rule of its own.

    Attributes:
        number: its place in an order in which inputs come before what is made of them.
        flag: the flag of its output.
        inputs: the jobs that make its inputs.
        trait: a line of its rule.
        group: name of its group, empty if it has none.
        pause_seconds: how long its output is incomplete.
    """

    number: int
    flag: str
    inputs: list[_Node]
    trait: str
    pause_seconds: float
    group: str = ""

    @property
    def output(self) -> str:
        """The name of its output."""
        return f"made/{self.number}{_SUFFIXES.get(self.flag, '')}"

    def work(self) -> dict[str, Any]:
        """Return what a quick job needs to know of it."""
        inputs = [node.output for node in self.inputs] or ["seed"]
        return {"inputs": inputs, "pause": self.pause_seconds, "group": self.group}

    def rule(self) -> str:
        """Return its rule."""
        output = repr(self.output)
        if self.flag:
            output = f"{self.flag}({output}{', non_empty=True' if self.flag == 'ensure' else ''})"
        inputs = ", ".join(map(repr, self.work()["inputs"]))
        lines = [f"rule r{self.number}:", f"input: {inputs}", f"output: {output}", self.trait]
        lines += [f"group: {self.group!r}"] if self.group else []
        lines += ['shell: "python sealed.py {output} -- {input}"']
        return "\n    ".join(filter(None, lines))


@dataclass(slots=True)
class RandomDag:
    """A workflow made by chance.

    Attributes:
        seed: what it follows from.
        jobs: the most jobs that the queue may hold.
        arguments: the arguments of all its runs.
        orders: the payloads that fail, by output: always, or once.
    """

    seed: int
    jobs: int
    arguments: list[str]
    orders: dict[str, str] = field(default_factory=dict)
    _nodes: list[_Node] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int) -> RandomDag:
        """Return the workflow that follows from a seed."""
        chance = random.Random(seed)  # noqa: S311 - makes up workflows, protects nothing
        retries = chance.choice([(), (), ("--retries", "1")])
        keeps_going = chance.choice([(), ("--keep-going",)])
        jobs = chance.randint(2, 9)
        fixed = ["--jobs", str(jobs), "--resources", "db=1", "--jobscript", "quick.sh"]
        made = cls(seed, jobs, [*fixed, *retries, *keeps_going])
        for number in range(chance.randint(7, 15)):
            made._nodes.append(_node(chance, number, made._nodes))
        for number, node in enumerate(made._nodes[1:]):
            _join(node, f"group{number}", chance)
        if chance.random() < 0.6:
            for node in chance.sample(made._nodes, chance.randint(1, 2)):
                made.orders[node.output] = chance.choice(["fail", "once", "once"])
        return made

    @property
    def keeps_going(self) -> bool:
        """Whether Snakemake goes on after a failure, so that what is left does not depend on the time of it."""
        return "--keep-going" in self.arguments

    def lay_out(self, directory: Path) -> None:
        """Write it and all that it needs to a directory."""
        used = {node.number for other in self._nodes for node in other.inputs}
        targets = [node.output for node in self._nodes if node.number not in used or node.number % 3 == 0]
        dag = {node.output: node.work() for node in self._nodes}
        texts = {
            "Snakefile": "\n".join(
                [f"rule all:\n    input: {targets}\n    localrule: True", *(node.rule() for node in self._nodes)]
            ),
            "dag.json": json.dumps(dag),
            "quick.py": _QUICK,
            "quick.sh": _QUICK_JOBS,
            "sealed.py": Path(sealed.__file__).read_text("utf-8"),
        }
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
        sealed.write(directory / "seed", "seed")
        (directory / "orders").mkdir()
        for output, word in self.orders.items():
            order(directory, output, word)


def _node(chance: random.Random, number: int, earlier: list[_Node]) -> _Node:
    inputs = chance.sample(earlier[-5:], min(len(earlier[-5:]), chance.choice([0, 1, 1, 1, 2, 2, 3])))
    trait = chance.choices([*_TRAITS], [*_TRAITS.values()])[0]
    flag = chance.choices([*_FLAGS], [*_FLAGS.values()])[0]
    if "input.size" in trait and any(node.flag == "directory" for node in inputs):
        trait = ""
    return _Node(number, flag, sorted(inputs, key=lambda node: node.number), trait, chance.choice([0.0, 0.2, 0.8]))


def _join(node: _Node, name: str, chance: random.Random) -> None:
    """Make a group of a job and the one that makes its only input, by chance."""
    if len(node.inputs) != 1 or node.trait.startswith("local") or chance.random() > 0.25:
        return
    first = node.inputs[0]
    if not first.trait.startswith("local"):
        name = first.group or name
        first.group = node.group = name
