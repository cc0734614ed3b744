"""Tells by what a job of the workflow is known again in a later run: what it makes, and from what.

The job command says nothing of the rule's code, its parameters or its inputs, so they are hashed here. Snakemake's own
objects are read, not its interface; whatever is missing there makes a job unlike any other, never a failed run.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from snakemake_executor_plugin_frceapi.grouping import members_of
from snakemake_executor_plugin_frceapi.job import NO_FILE, Work

_TIMESTAMP = ".snakemake_timestamp"
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_WHOLE = ("to_csv", "tolist")
"""Methods of tables and arrays, whose representation leaves out most of a long one."""


Parameters: TypeAlias = tuple[Iterable[str], Iterable[object]]
"""The names of all parameters, and the values of those that do not follow from inputs, resources and the like."""


def works_of(
    job: Any, unversioned: Iterable[str] = (), parameters: Callable[[Any], Parameters] | None = None
) -> tuple[Work, ...]:
    """Return what a job makes; of a group job, what each of its members makes.

    Args:
        job: a job or group job of Snakemake that is ready, so that its parameters and inputs are final.
        unversioned: further files that the same submission makes, or that others were still to make when it was
            submitted. As for the outputs of the job itself, nobody can tell beforehand which version of them will be
            read, so their versions do not count.
        parameters: returns the parameters of one job, if the job is not ready.
    """
    members = members_of(job)
    inside = {product for member in members for product in products_of(member)}.union(unversioned)
    return tuple(_work(member, inside, parameters or _parameters) for member in members)


def made_before(dag: Any, job: Any, upstream: Iterable[Any]) -> tuple[str, ...]:
    """Return the files that some jobs make before a job or group job begins that waits for them."""
    names = {product for other in upstream for product in products_of(other)}
    for member in members_of(job):
        made = dag.dependencies.get(member, {})
        names.update(str(file) for other in upstream for file in made.get(other, ()))
    return tuple(sorted(names))


def products_of(job: Any) -> tuple[str, ...]:
    """Return the output files of one job as Snakemake names them; a job without any is named by its wildcards."""
    if files := tuple(sorted(str(path) for path in job.output)):
        return files
    wildcards = json.dumps(dict(job.wildcards_dict), sort_keys=True, default=str)
    return (f"{NO_FILE}{job.rule.name} {wildcards}",)


def _work(job: Any, inside: Collection[str], parameters: Callable[[Any], Parameters]) -> Work:
    try:
        content = json.dumps(list(_ingredients(job, inside, parameters(job))), default=_text)
        # The copies of a workflow's own files have other names in each process.
        content = content.replace(json.dumps(str(job.dag.workflow.sourcecache.runtime_cache_path))[1:-1], "")
        signature = sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    except Exception:  # noqa: BLE001 - code of the workflow runs here; a job that cannot be compared is never adopted
        signature = ""
    return Work(job.rule.name, products_of(job), signature)


def _ingredients(job: Any, inside: Collection[str], parameters: Parameters) -> Iterator[object]:
    rule, (names, values) = job.rule, parameters
    yield [rule.name, rule.shellcmd, rule.run_func_src if rule.shellcmd is None else None, rule.wrapper]
    yield [sorted(job.wildcards_dict.items()), [str(path) for path in job.output]]
    yield [_script(job, path) for path in (rule.script, rule.notebook) if path]
    yield [_text(value) for value in values]
    yield [list(job.input.keys()), list(job.output.keys()), list(names)]
    yield [_input(path, inside) for path in job.input]
    yield [_conda(job), job.container_img_url, str(job.env_modules)]


def _parameters(job: Any) -> Parameters:
    """Return the parameters of a job that is ready.

    Snakemake makes all parameters anew before a job begins, but only when somebody asks for all of them.
    """
    names = job.params.keys()
    return names, job.non_derived_params


def _text(value: object) -> str:
    """Describe a value in the same words in each process that has it."""
    match value:
        case dict():
            return f"{{{', '.join(sorted(f'{_text(key)}: {_text(item)}' for key, item in value.items()))}}}"
        case set() | frozenset():
            return f"{{{', '.join(sorted(map(_text, value)))}}}"
        case list() | tuple():
            return f"[{', '.join(map(_text, value))}]"
    for name in _WHOLE:
        if callable(whole := getattr(value, name, None)):
            return f"{type(value).__name__}({_text(whole())})"
    return _ADDRESS.sub("", repr(value))


def _script(job: Any, path: Any) -> list[str]:
    """Name a script and, where it is a file of this machine, its content."""
    source = str(job._path_to_source_file(path).get_path_or_uri(secret_free=True))  # noqa: SLF001 - it has no other name
    file = Path(source)
    return [source, sha256(file.read_bytes()).hexdigest() if file.is_file() else ""]


def _input(path: Any, inside: Collection[str]) -> list[object]:
    """Name an input and, where it counts, which version of it is there."""
    name = str(path)
    if name in inside or path.is_storage or "ancient" in path.flags:
        return [name]
    found = os.stat(name)  # noqa: PTH116 - a name of the workflow, not a path of ours
    if stat.S_ISDIR(found.st_mode):
        with suppress(FileNotFoundError):
            found = Path(name, _TIMESTAMP).stat()
    return [name, found.st_mtime_ns, found.st_size]


def _conda(job: Any) -> object:
    """Return the hash of a conda environment that is used; that of one that is not may ask for a conda."""
    used = {method.name for method in job.dag.workflow.deployment_settings.deployment_method}
    return job.conda_env.hash if "CONDA" in used and job.conda_env else None
