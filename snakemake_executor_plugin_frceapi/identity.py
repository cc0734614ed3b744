"""Tells by what a job of the workflow is known again in a later run: what it makes, and from what.

The job command says nothing of the rule's code, its parameters or its inputs, so they are hashed here. Snakemake's own
objects are read, not its interface; whatever is missing there makes a job unlike any other, never a failed run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.job import NO_FILE, Work

_TIMESTAMP = ".snakemake_timestamp"
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def works_of(job: Any) -> tuple[Work, ...]:
    """Return what a job makes; of a group job, what each of its members makes.

    Args:
        job: a job or group job of Snakemake that is ready, so that its parameters and inputs are final.
    """
    return tuple(_work(member) for member in (job.jobs if job.is_group() else [job]))


def products_of(job: Any) -> tuple[str, ...]:
    """Return the output files of one job as Snakemake names them; a job without any is named by its wildcards."""
    files = tuple(sorted(str(path) for path in job.output))
    wildcards = json.dumps(dict(job.wildcards_dict), sort_keys=True, default=str)
    return files or (f"{NO_FILE}{job.rule.name} {wildcards}",)


def _work(job: Any) -> Work:
    try:
        content = json.dumps(list(_ingredients(job)), sort_keys=True, default=_text)
        signature = sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    except Exception:  # noqa: BLE001 - code of the workflow runs here; a job that cannot be compared is never adopted
        signature = ""
    return Work(job.rule.name, products_of(job), signature)


def _ingredients(job: Any) -> Iterator[object]:
    rule = job.rule
    yield [rule.name, rule.shellcmd, rule.run_func_src if rule.shellcmd is None else None, rule.wrapper]
    yield [_script(job, path) for path in (rule.script, rule.notebook) if path]
    yield sorted(_text(value) for value in job.non_derived_params)
    yield [_input(path) for path in job.input]
    yield [job.conda_env.hash if job.conda_env else None, job.container_img_url, _text(job.env_modules)]


def _text(value: object) -> str:
    return _ADDRESS.sub("", repr(value))


def _script(job: Any, path: Any) -> list[str]:
    """Name a script and, where it is a file of this machine, its content."""
    source = str(job._path_to_source_file(path).get_path_or_uri(secret_free=True))  # noqa: SLF001 - it has no other name
    file = Path(source)
    return [source, sha256(file.read_bytes()).hexdigest() if file.is_file() else ""]


def _input(path: Any) -> list[object]:
    """Name an input and, where it counts, which version of it is there."""
    name = str(path)
    if getattr(path, "is_storage", False) or "ancient" in getattr(path, "flags", {}):
        return [name]
    stamp = Path(name, _TIMESTAMP)
    found = os.stat(stamp if stamp.exists() else name)  # noqa: PTH116 - a name of the workflow, not a path of ours
    return [name, found.st_mtime_ns, found.st_size]
