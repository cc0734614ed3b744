"""Tests of the variables that a job gets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.environment import (
    WITHHELD,
    Export,
    carried,
    encode,
    parse_export,
    path_to_prepend,
    path_with,
    written_out,
)
from snakemake_executor_plugin_frceapi.errors import SettingsError

ENVIRON = {"PATH": "/usr/bin", "LANG": "C.UTF-8", "EDITOR": "vi", "TMPDIR": "/tmp/x", "SLURM_JOB_ID": "1", "LIB": "a,b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALL", Export(everything=True)),
        ("all", Export(everything=True)),
        ("NONE", Export()),
        ("NIL", Export()),
        ("EDITOR", Export(names=("EDITOR",))),
        ("EDITOR,LANG,", Export(names=("EDITOR", "LANG"))),
        ("EDITOR,A=1,B=", Export(names=("EDITOR",), values=(("A", "1"), ("B", "")))),
        ("ALL,A=x=y", Export(everything=True, values=(("A", "x=y"),))),
        ("A='1,2',B=\"it's\"", Export(values=(("A", "1,2"), ("B", "it's")))),
        (r"A=a b#c\n$(d)", Export(values=(("A", r"a b#c\n$(d)"),))),
    ],
)
def test_reads_what_sbatch_documents(text: str, expected: Export) -> None:
    """Each form of --export is understood, shell characters in values are nothing special."""
    assert parse_export(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is no variable"),
        (",", "'' is no variable"),
        ("A B", "'A B' is no variable"),
        ("A, B", "' B' is no variable"),
        ("1A=2", "'1A' is no variable"),
        ("=2", "'' is no variable"),
        ("A=\0", "'A' is no variable"),
        ("NONE,A", "NONE cannot stand in a list"),
        ("NONE=1", "NONE cannot stand in a list"),
        ("A='1", "a quote in the value is not closed"),
        ("KRB5CCNAME", "KRB5CCNAME is never given to a job, it leads to a credential"),
        ("ALL,SNAKEMAKE_FRCEAPI_URL=x", "SNAKEMAKE_FRCEAPI_URL is never given to a job"),
        ("SLURM_JOB_ID=5", "SLURM_JOB_ID is never given to a job, Slurm sets it in the job"),
    ],
)
def test_refuses_a_wrong_export(text: str, words: str) -> None:
    """A wrong value is an error that names the setting and the item."""
    with pytest.raises(SettingsError) as caught:
        parse_export(text)

    assert str(caught.value).startswith("--frceapi-export: ")
    assert words in str(caught.value)


def test_keeps_values_out_of_messages() -> None:
    """A value may be secret, so that only names are shown."""
    with pytest.raises(SettingsError) as caught:
        parse_export("TOKEN=hunter2,B C=hunter2,D='hunter2'")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("export", "expected"),
    [
        ("ALL", {"PATH": "/usr/bin", "LANG": "C.UTF-8", "EDITOR": "vi", "LIB": "a,b"}),
        ("NONE", {}),
        ("EDITOR,MISSING", {"EDITOR": "vi"}),
        ("EDITOR,TMPDIR", {"EDITOR": "vi", "TMPDIR": "/tmp/x"}),
        ("EDITOR=ed,A=1", {"EDITOR": "ed", "A": "1"}),
        (
            "ALL,EDITOR=ed,TMPDIR",
            {"PATH": "/usr/bin", "LANG": "C.UTF-8", "EDITOR": "ed", "LIB": "a,b", "TMPDIR": "/tmp/x"},
        ),
    ],
)
def test_carries_what_export_says(export: str, expected: dict[str, str]) -> None:
    """ALL leaves the table's names behind; a name that is asked for goes."""
    assert carried(ENVIRON, export, {}) == expected


@pytest.mark.parametrize("export", ["ALL", "NONE", "LANG", "TOKEN=other,DISPLAY=:9"])
def test_carries_requested_variables_whatever_export_says(export: str) -> None:
    """What envvars: asks for goes with its own value, also when ALL would leave it behind."""
    chosen = carried(ENVIRON, export, {"TOKEN": "t", "DISPLAY": ":0"})

    assert (chosen["TOKEN"], chosen["DISPLAY"]) == ("t", ":0")


@pytest.mark.parametrize("name", ["KRB5CCNAME", "KRB5_CONFIG", "KRB5_CLIENT_KTNAME", "SNAKEMAKE_FRCEAPI_URL"])
def test_refuses_to_carry_a_requested_credential(name: str) -> None:
    """A workflow that asks for a credential is told so before anything is submitted."""
    with pytest.raises(SettingsError, match=rf"envvars: {name} is never given to a job"):
        carried({}, "NONE", {name: "x"})


def test_leaves_a_requested_slurm_variable_to_slurm() -> None:
    """The job has a value of its own for it."""
    assert carried(ENVIRON, "NONE", {"SLURM_JOB_ID": "1"}) == {}


@pytest.mark.parametrize("pattern", [pattern for patterns in WITHHELD.values() for pattern in patterns])
def test_leaves_the_whole_table_behind(pattern: str) -> None:
    """With ALL no name that a pattern of the table covers goes to a job."""
    name = pattern.replace("*", "X")

    assert carried({name: "x", f"A_{name}": "y"}, "ALL", {}) == {f"A_{name}": "y"}


@pytest.mark.parametrize(
    "name",
    [
        *("SLURM_JOB_ID", "SLURMD_NODENAME", "KRB5CCNAME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "SNAKEMAKE_PROFILE"),
        *("SNAKEMAKE_FRCEAPI_URL", "CUDA_VISIBLE_DEVICES", "PMI_RANK", "PMIX_ID", "OMPI_COMM_WORLD_RANK", "DISPLAY"),
        *("WAYLAND_DISPLAY", "TMPDIR", "HOSTNAME", "PWD", "OLDPWD", "BASH_ENV", "ENV", "LD_PRELOAD", "SHLVL", "_"),
    ],
)
def test_leaves_known_troublemakers_behind(name: str) -> None:
    """Each of these has broken a job somewhere or leads to a secret."""
    assert carried({name: "x"}, "ALL", {}) == {}


@pytest.mark.parametrize(
    "name", ["PWDX", "SLURMX", "MY_SLURM_X", "_A", "SNAKEMAKE_PROFILES", "TMPDIR2", "LD_LIBRARY_PATH", "MODULEPATH"]
)
def test_carries_names_that_only_look_alike(name: str) -> None:
    """The table's patterns cover whole names."""
    assert carried({name: "x"}, "ALL", {}) == {name: "x"}


def test_carries_functions_and_drops_names_that_no_shell_can_set() -> None:
    """Exported functions are carried, names with dots or dashes are not."""
    environ = {
        "BASH_FUNC_module%%": "() {  eval 1\n}",
        "BASH_FUNC_a-b%%": "() { :; }",
        "a.b": "1",
        "a-b": "2",
        "ü": "3",
    }

    assert set(carried(environ, "ALL", {})) == {"BASH_FUNC_module%%", "BASH_FUNC_a-b%%"}


def test_encodes_sorted_and_ended_by_nul() -> None:
    """Equal environments give equal bytes; newlines and bytes that are no text survive."""
    one = encode({"B": "x\ny", "A": "\udcff"})

    assert one == b"A=\xff\0B=x\ny\0"
    assert encode({"A": "\udcff", "B": "x\ny"}) == one
    assert encode({}) == b""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "/env/bin"),
        ("/usr/bin:/bin", "/env/bin:/usr/bin:/bin"),
        ("/env/bin:/usr/bin", "/env/bin:/usr/bin"),
        ("/usr/bin:/env/bin:/usr/bin:/bin", "/env/bin:/usr/bin:/bin"),
    ],
)
def test_puts_the_environment_first_on_the_path(path: str, expected: str) -> None:
    """The directory comes first, and every directory once."""
    assert path_with(Path("/env/bin"), path) == expected


def test_prepends_only_where_no_path_is_carried() -> None:
    """With a carried PATH nothing is left for the run script to do."""
    assert path_to_prepend(Path("/env/bin"), {}) == Path("/env/bin")
    assert path_to_prepend(Path("/env/bin"), {"PATH": "/env/bin:/bin"}) is None


variable_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
variable_values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
environments = st.dictionaries(variable_names, variable_values, max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(environments)
def test_restores_exactly_what_was_encoded(environ: dict[str, str]) -> None:
    """Splitting the bytes at NUL gives the variables back."""
    entries = [entry.split(b"=", 1) for entry in encode(environ).split(b"\0")[:-1]]

    assert {os.fsdecode(name): os.fsdecode(value) for name, value in entries} == environ


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(environments, environments)
def test_carries_no_more_than_there_is(environ: dict[str, str], requested: dict[str, str]) -> None:
    """With ALL each variable keeps its value, and requested ones win."""
    chosen = carried(environ, "ALL", requested)

    assert chosen.items() <= (environ | requested).items()
    assert requested.items() <= chosen.items()


def test_carries_a_function_as_bash_exports_it(tmp_path: Path) -> None:
    """What bash itself writes for an exported function is recognised."""
    script = 'greet() { echo "hi $1"; }; export -f greet; exec env -0'
    output = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    environ = dict(entry.split("=", 1) for entry in output.split("\0")[:-1])

    chosen = carried(environ, "ALL", {})

    assert [name for name in chosen if "greet" in name] == ["BASH_FUNC_greet%%"]
    assert "PWD" in environ
    assert "PWD" not in chosen


S3 = {"SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": "https://s3.example.org", "SNAKEMAKE_STORAGE_S3_REGION": "eu"}


@pytest.mark.parametrize(
    ("export", "requested", "secrets"),
    [
        ("NONE", {}, []),
        ("NONE", S3, []),
        ("NONE", {**S3, "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "s"}, ["SNAKEMAKE_STORAGE_S3_SECRET_KEY"]),
        ("NONE", {"SNAKEMAKE_STORAGE_X_URL": "https://user:word@host"}, ["SNAKEMAKE_STORAGE_X_URL"]),
        ("NONE", {"SNAKEMAKE_STORAGE_X_URL": "https://host/?sig=1"}, ["SNAKEMAKE_STORAGE_X_URL"]),
        ("NONE", {"HARMLESS": "1"}, ["HARMLESS"]),
        ("A,B=2", {}, []),
        ("AWS_SECRET_ACCESS_KEY", {}, ["AWS_SECRET_ACCESS_KEY"]),
        ("AWS_SHARED_CREDENTIALS_FILE=/node/credentials", {}, []),
        ("MY_PASSWORD=x,A", {"ASKED": "1"}, ["ASKED", "MY_PASSWORD"]),
    ],
)
def test_writes_secrets_out_only_where_that_is_allowed(
    export: str, requested: dict[str, str], secrets: list[str]
) -> None:
    """What `envvars:` names is secret, and whatever looks so; a message names them all and what to do instead."""
    environ = {"A": "1", "B": "1", "AWS_SECRET_ACCESS_KEY": "s"}
    allowed = written_out(environ, export, requested, with_secrets=True)
    assert allowed == carried(environ, export, requested)
    if not secrets:
        assert written_out(environ, export, requested, with_secrets=False) == allowed
        return
    with pytest.raises(SettingsError) as caught:
        written_out(environ, export, requested, with_secrets=False)

    message = str(caught.value)
    assert message.startswith(f"{', '.join(secrets)} would go to the jobs in the text of their scripts")
    assert all(word in message for word in ("credentials file", "instance role", "--frceapi-secrets-in-script"))
