"""Tests of the settings: their help, their defaults, and the values that are refused."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from snakemake_interface_common.exceptions import ApiError

from snakemake_executor_plugin_frceapi.settings import DEFAULT_URL, ExecutorSettings, common_settings

FIELDS = dataclasses.fields(ExecutorSettings)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_explains_each_setting(field: dataclasses.Field[Any]) -> None:
    """Each setting has a help text that is a sentence, and none is required."""
    text = field.metadata["help"]

    assert re.fullmatch(r"[A-Z].*[.\]]", text)
    assert "\n" not in text
    assert field.metadata["required"] is False


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_has_defaults_that_can_be_written_down(field: dataclasses.Field[Any]) -> None:
    """Each default is a plain value, whatever reads the settings; a switch is off."""
    assert json.loads(json.dumps(field.default)) == field.default
    assert field.default is not True


def test_accepts_its_own_defaults() -> None:
    """Without any option the settings are those of FRCE."""
    settings = ExecutorSettings()

    assert (settings.url, settings.auth, settings.export) == (DEFAULT_URL, "kerberos", None)
    assert settings.url.startswith("https://")


def test_reads_the_url_alone_from_the_environment() -> None:
    """Only the URL has an environment variable of its own, which the sandbox sets for its command."""
    assert [field.name for field in FIELDS if field.metadata.get("env_var")] == ["url"]


def test_names_choices_where_there_are_some() -> None:
    """The default of a setting with choices is one of them, or none."""
    choices = {field.name: field.metadata["choices"] for field in FIELDS if "choices" in field.metadata}

    assert set(choices) == {"auth", "number_format", "memory_unit", "on_exit"}
    for field in FIELDS:
        if field.name in choices:
            assert field.default is None or field.default in choices[field.name]


GOOD: dict[str, list[object]] = {
    "auth": ["kerberos", "none"],
    "number_format": ["integer", "string"],
    "memory_unit": [None, "M", "G"],
    "on_exit": ["cancel", "leave"],
    "partition": [None, "norm", "gpu_2", ".x", "a" * 64],
    "target_name": [None, "HTTP@hpcapi.ncifcrf.gov", "HTTP@a-b"],
    "default_mem_mb_per_cpu": [1, 20_000],
    "default_runtime": [None, 1, 14_400],
    "max_connections": [1, 64],
    "init_seconds_before_status_checks": [0, 60],
    "cancel_timeout": [0, 60],
    "delete_logfiles_older_than": [0, 365],
    "outage_tolerance": [0.0, 0.5, 1e6],
    "marker_grace": [0.0, 300.0],
    "requeue_grace": [0.0, 300.0],
    "unknown_grace": [0.0, 300.0],
    "efficiency_threshold": [0.0, 1.0],
    "scratch": [None, Path("/lscratch")],
    "export": ["ALL", "NONE", "HOME,A=1"],
}

BAD: dict[str, list[object]] = {
    "auth": ["", "basic", "Kerberos"],
    "number_format": ["float"],
    "memory_unit": ["", "MB", "m"],
    "on_exit": ["", "stay"],
    "partition": ["", "-p", "a b", "a,b", "a;reboot", "a\n", "ü", "a" * 65],
    "target_name": ["", "HTTP", "HTTP/host", "HTTP@", "HTTP@a b", "HTTP@a\n"],
    "default_mem_mb_per_cpu": [0, -1],
    "default_runtime": [0, -1],
    "max_connections": [0, -1, 65],
    "init_seconds_before_status_checks": [-1],
    "cancel_timeout": [-1],
    "delete_logfiles_older_than": [-1],
    "outage_tolerance": [-0.1, float("nan")],
    "marker_grace": [-0.1, float("nan")],
    "requeue_grace": [-0.1, float("nan")],
    "unknown_grace": [-0.1, float("nan")],
    "efficiency_threshold": [-0.1, 1.1, float("nan")],
    "scratch": [Path("scratch"), Path("./x")],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_accepts_good_values(name: str, value: object) -> None:
    """Values at the edge of what is allowed are taken as they are."""
    assert getattr(ExecutorSettings(**{name: value}), name) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_refuses_bad_values_by_flag_and_value(name: str, value: object) -> None:
    """A value that cannot work is one line that names the flag, shows the value and says what it must be."""
    with pytest.raises(ApiError) as caught:
        ExecutorSettings(**{name: value})  # type: ignore[arg-type]

    shown = str(value) if isinstance(value, Path) else value
    flag = "--frceapi-" + name.replace("_", "-")
    assert str(caught.value).startswith(f"{flag} is {shown!r}; it must be ")
    assert "\n" not in str(caught.value)


def test_refuses_a_bad_export() -> None:
    """What cannot be exported is refused at the start, with the flag."""
    with pytest.raises(ApiError, match=r"^--frceapi-export: KRB5CCNAME is never given to a job"):
        ExecutorSettings(export="KRB5CCNAME")


def test_says_what_snakemake_must_know() -> None:
    """Jobs run elsewhere, on a file system that is shared, and no value of envvars: stands on a command line."""
    assert common_settings.non_local_exec
    assert not common_settings.implies_no_shared_fs
    assert not common_settings.pass_envvar_declarations_to_cmd
    assert common_settings.pass_group_args
