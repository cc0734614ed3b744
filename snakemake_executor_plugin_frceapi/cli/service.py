"""The options that lead a command to the service, and the errors that it ends with."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.settings import ExecutorSettings

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--url", metavar="URL", help="Base URL of the API.  [default: SNAKEMAKE_FRCEAPI_URL, else FRCE's]"),
    click.option(
        "--auth",
        type=click.Choice(["kerberos", "none"]),
        default="kerberos",
        show_default=True,
        help="How to prove who you are; none is for a loopback address.",
    ),
    click.option("--target-name", metavar="PRINCIPAL", help="Service principal, where DNS does not lead to it."),
    click.option("--ca-bundle", metavar="FILE", type=click.Path(path_type=Path), help="The certificates to trust."),
)

_ENCODING_OPTIONS = (
    click.option(
        "--number-format",
        type=click.Choice(["integer", "string"]),
        default="integer",
        show_default=True,
        help="How numbers are written in a job request.",
    ),
    click.option("--memory-unit", type=click.Choice(["K", "M", "G"]), help="Unit behind memory in a job request."),
)

_PLUGIN_FLAG = re.compile(r"--frceapi-(url|auth|target-name|ca-bundle|number-format|memory-unit)\b")
_PARTITION = "the resource slurm_partition or --frceapi-partition"


def service_options(command: Command) -> Command:
    """Add the options that say where the service is, as those of the plugin are called."""
    return reduce(lambda inner, option: option(inner), reversed(_OPTIONS), command)


def encoding_options(command: Command) -> Command:
    """Add the options that say how a job request is written."""
    return reduce(lambda inner, option: option(inner), reversed(_ENCODING_OPTIONS), command)


def settings_of(options: dict[str, Any]) -> ExecutorSettings:
    """Return the plugin's settings with the values of a command's options.

    Raises:
        click.ClickException: a value cannot work.
    """
    from snakemake_interface_common.exceptions import ApiError

    from snakemake_executor_plugin_frceapi.settings import DEFAULT_URL, ExecutorSettings

    url = options["url"] or os.environ.get("SNAKEMAKE_FRCEAPI_URL") or DEFAULT_URL
    try:
        return ExecutorSettings(**{**options, "url": url})
    except ApiError as error:
        raise click.ClickException(own_flags(str(error))) from None


@contextmanager
def one_line() -> Iterator[None]:
    """Turn an error of this package into the one line of a command."""
    from snakemake_executor_plugin_frceapi.errors import FrceapiError

    try:
        yield
    except FrceapiError as error:
        raise click.ClickException(own_flags(str(error))) from None


def own_flags(text: str) -> str:
    """Return a message with the flags of these commands in the place of Snakemake's."""
    return _PLUGIN_FLAG.sub(r"--\1", text.replace(_PARTITION, "-p"))
