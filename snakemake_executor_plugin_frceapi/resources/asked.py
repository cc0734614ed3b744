"""One job's resources as their values are looked up, with errors that name the rule and the option that helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.resources.extra import merged, parse_extra
from snakemake_executor_plugin_frceapi.resources.table import REFUSED, asks_for_something, whole_number

_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What one job asks for.

    Attributes:
        name: name of its rule or group.
        resources: its resources by name.
        members: the rules of a group job, none of a single job.
    """

    name: str
    resources: Mapping[str, object]
    members: Sequence[str] = ()

    def error(self, problem: str, remedy: str) -> JobError:
        """Return the error about a problem of this job."""
        return JobError(f"{'group' if self.members else 'rule'} {self.name}: {problem}; {remedy}")

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name this job in an error that says what is wrong and, behind its last semicolon, what to do."""
        try:
            yield
        except JobError as error:
            problem, _, remedy = str(error).rpartition("; ")
            raise self.error(problem, remedy) from None

    def option(self, resource: str, value: str) -> str:
        """Return the option of Snakemake that changes a resource, or the threads, of this job."""
        rules = self.members or (self.name,)
        if resource == "threads":
            return " ".join(["--set-threads", *(f"{rule}={value}" for rule in rules)])
        return " ".join(["--set-resources", *(f"{rule}:{resource}={value}" for rule in rules)])

    def first(self, *names: str) -> tuple[str, object]:
        """The first of `names` that has a value, and that value; the last name and None if there is none."""
        for name in names:
            value = self.resources.get(name)
            if value is not None and value != "":
                return name, value
        return names[-1], None

    def number(self, *names: str) -> int | None:
        """The first of `names` that has a value, as a number of at least 1; None if there is none."""
        name, value = self.first(*names)
        return None if value is None else self.check_number(name, value)

    def check_number(self, name: str, value: object) -> int:
        """Return a value as a number of at least 1.

        Raises:
            JobError: it is none.
        """
        number = whole_number(value)
        if number is None or not 1 <= number <= _LARGEST:
            raise self.error(
                f"{name}={value!r} is not a whole number from 1 to {_LARGEST}",
                f"change it in the rule or with {self.option(name, 'NUMBER')}",
            )
        return number

    def with_extra(self) -> Asked:
        """Return what the job asks for with what stands in its ``slurm_extra``.

        Raises:
            JobError: something of that cannot be expressed.
        """
        text = self.resources.get("slurm_extra")
        if not asks_for_something(text):
            return self
        try:
            return replace(self, resources=merged(self.resources, parse_extra(str(text))))
        except JobError as error:
            remedy = f"{error}, or switch slurm_extra off with {self.option('slurm_extra', '0')}"
            raise self.error(f"slurm_extra={text!r}", remedy) from None

    def wish(self, name: str) -> object:
        """The value of a resource, None if it asks for nothing."""
        value = self.resources.get(name)
        return value if asks_for_something(value) else None

    def refuse(self, *names: str) -> None:
        """Raise `JobError` about the first of some resources that asks for something."""
        for name in names:
            if self.wish(name) is not None:
                raise self.inexpressible(name)

    def inexpressible(self, name: str) -> JobError:
        """Return the error about a resource that the API cannot express."""
        value = self.resources.get(name)
        return self.error(
            f"the API cannot express {name}={value!r}, because {REFUSED[name]}",
            f"take it out of the rule or switch it off with {self.option(name, '0')}",
        )
