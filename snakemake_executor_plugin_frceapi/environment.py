"""Which variables of the submitting environment a job gets, and how they are written down for it.

A variable goes to the job because ``--frceapi-export`` says ``ALL``, or because somebody asks for it by name, with
``--frceapi-export NAME`` or with ``envvars:`` in the workflow. `WITHHELD` is what ``ALL`` never carries. Asked for by
name, most of it goes nevertheless; credentials never do, and what Slurm sets is always Slurm's.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from snakemake_executor_plugin_frceapi.errors import SettingsError

_CREDENTIAL = "it leads to a credential"
_SLURM = "Slurm sets it in the job"

WITHHELD: Mapping[str, tuple[str, ...]] = {
    _CREDENTIAL: ("KRB5*", "SNAKEMAKE_FRCEAPI_*"),
    _SLURM: ("SLURM_*", "SLURMD_*"),
    "it belongs to the Snakemake that submits": ("SNAKEMAKE_PROFILE", "frceapi_*"),
    "it belongs to the make that started Snakemake": ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"),
    "it names devices of one node": (
        *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"),
        *("GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK"),
    ),
    "it belongs to one MPI launch": ("PMI*", "OMPI_*", "PRTE_*"),
    "it belongs to one login session": ("SSH_*", "XDG_*", "DBUS_*", "DISPLAY", "XAUTHORITY", "WAYLAND_*"),
    "it is true of one node only": ("TMPDIR", "TMP", "TEMP", "TEMPDIR", "HOSTNAME", "HOST"),
    "it is the state of one shell": ("PWD", "OLDPWD", "SHLVL", "_", "SHELLOPTS", "BASHOPTS", "IFS"),
    "it makes each program or shell load something": ("BASH_ENV", "ENV", "LD_PRELOAD", "LD_AUDIT"),
}
"""Shell patterns of variable names that ``ALL`` leaves behind, by the reason why."""

_PATTERNS = {reason: re.compile("|".join(map(translate, patterns))) for reason, patterns in WITHHELD.items()}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_STORAGE = "SNAKEMAKE_STORAGE_"
"""With this the names of the variables of storage providers begin; Snakemake hands over all of their settings so."""
_SECRET = re.compile(r"(?=.*(KEY|SECRET|TOKEN|PASS|CRED))(?!.*_(FILE|PATH|DIR)$)", re.IGNORECASE)
"""Names of variables that hold a secret, and not the place of one."""
_SECRET_VALUE = re.compile(r"[@?]")
"""What a URL has where it holds a password or a signature."""
_FUNCTION = re.compile(r"BASH_FUNC_.+%%", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Export:
    """What ``--frceapi-export`` asks for.

    Attributes:
        everything: whether the whole environment goes, but for `WITHHELD`.
        names: variables that go with the value they have.
        values: variables that go with a value of their own.
    """

    everything: bool = False
    names: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()


def parse_export(text: str) -> Export:
    """Read a value as sbatch(1) has it at ``--export``.

    It is ``ALL``, ``NONE`` (or ``NIL``), or a comma list of ``NAME``, ``NAME=value`` and ``ALL``; a value with a comma
    stands in quotes.

    Raises:
        SettingsError: it is none of these, or names a variable that never goes to a job.
    """
    items = _split(text)
    if len(items) == 1 and items[0].upper() in ("NONE", "NIL"):
        return Export()
    pairs = [item.partition("=") for item in items if item.upper() != "ALL"]
    for name, _, value in pairs:
        _check_item(name, value)
    return Export(
        everything=len(pairs) < len(items),
        names=tuple(name for name, equals, _ in pairs if not equals),
        values=tuple((name, value) for name, equals, value in pairs if equals),
    )


def carried(environ: Mapping[str, str], export: str, requested: Mapping[str, str]) -> dict[str, str]:
    """Choose the variables that go to a job.

    Functions that bash exports (``BASH_FUNC_name%%``) are variables like others. With ``ALL`` a name that no shell can
    set is left out.

    Args:
        environ: the submitting environment.
        export: what `parse_export` reads.
        requested: the variables of ``envvars:``, which always go, whatever `export` says.

    Raises:
        SettingsError: `export` is wrong, or `requested` names a credential.
    """
    wanted = parse_export(export)
    for name in requested:
        if _withheld(name) == _CREDENTIAL:
            raise SettingsError(f"envvars: {name} is never given to a job, {_CREDENTIAL}; take it out of the workflow")
    chosen = {name: value for name, value in environ.items() if wanted.everything and _goes_with_all(name)}
    chosen |= {name: environ[name] for name in wanted.names if name in environ}
    chosen.update(wanted.values)
    chosen.update(requested)
    return {name: value for name, value in chosen.items() if _withheld(name) != _SLURM}


def written_out(
    environ: Mapping[str, str], export: str, requested: Mapping[str, str], *, with_secrets: bool
) -> dict[str, str]:
    """Choose the variables that go to a job in the text of its script, which is no place for a secret.

    Args:
        environ: the submitting environment.
        export: what `parse_export` reads, without ``ALL``.
        requested: the variables of ``envvars:``, which are for secrets, and the settings of storage providers.
        with_secrets: whether secrets go nevertheless.

    Raises:
        SettingsError: `export` is wrong, or there are secrets and they do not go.
    """
    variables = carried(environ, export, requested)
    secrets = sorted(name for name, value in variables.items() if _is_secret(name, value, requested))
    if secrets and not with_secrets:
        raise SettingsError(
            f"{', '.join(secrets)} would go to the jobs in the text of their scripts, because they share no file "
            "system with Snakemake, and the cluster's administrators can read that; let the nodes have a credentials "
            "file of their own (of S3: ~/.aws/credentials, here as well) or an instance role and unset the variables, "
            "or set what envvars: names with --frceapi-job-setup, or allow it with --frceapi-secrets-in-script"
        )
    return variables


def encode(environ: Mapping[str, str]) -> bytes:
    """Write variables as ``NAME=value``, each followed by a NUL byte, sorted: equal environments give equal bytes."""
    return b"".join(sorted(os.fsencode(f"{name}={value}") + b"\0" for name, value in environ.items()))


def path_with(bin_dir: Path, path: str) -> str:
    """Put `bin_dir` first on the search path `path`, and each directory on it once."""
    rest = path.split(os.pathsep) if path else []
    return os.pathsep.join(dict.fromkeys([str(bin_dir), *rest]))


def path_to_prepend(bin_dir: Path, variables: Mapping[str, str]) -> Path | None:
    """What the run script must put before the job's own ``PATH``: nothing where `variables` bring one with them."""
    return None if "PATH" in variables else bin_dir


def _split(text: str) -> list[str]:
    """The items of a comma list, without the quotes around them."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace, lexer.whitespace_split = ",", True
    lexer.commenters = lexer.escape = ""
    try:
        return list(lexer) or [""]
    except ValueError:
        raise SettingsError("--frceapi-export: a quote in the value is not closed; close it or leave it out") from None


def _check_item(name: str, value: str) -> None:
    """Raise `SettingsError` if an item of the list cannot be exported. Values are not shown: they may be secret."""
    if name.upper() in ("NONE", "NIL"):
        raise SettingsError(f"--frceapi-export: {name} cannot stand in a list; give it alone or take it out")
    if not _NAME.fullmatch(name) or "\0" in value:
        raise SettingsError(
            f"--frceapi-export: {name!r} is no variable; give ALL, NONE, or NAME and NAME=value with commas"
        )
    reason = _withheld(name)
    if reason in (_CREDENTIAL, _SLURM):
        raise SettingsError(f"--frceapi-export: {name} is never given to a job, {reason}; take it out")


def _withheld(name: str) -> str | None:
    """The reason why ``ALL`` leaves a variable behind, or None."""
    return next((reason for reason, pattern in _PATTERNS.items() if pattern.match(name)), None)


def _is_secret(name: str, value: str, requested: Mapping[str, str]) -> bool:
    is_of_storage = name.startswith(_OF_STORAGE)
    hides_one = is_of_storage and _SECRET_VALUE.search(value) is not None
    return hides_one or (name in requested and not is_of_storage) or _SECRET.match(name) is not None


def _goes_with_all(name: str) -> bool:
    return bool(_NAME.fullmatch(name) or _FUNCTION.fullmatch(name)) and _withheld(name) is None
