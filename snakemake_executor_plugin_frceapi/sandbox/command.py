"""The console command ``frceapi sandbox``: serve until Ctrl-C, or run one command against a sandbox of its own."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig, machine_cpus, machine_mem_mb
from snakemake_executor_plugin_frceapi.sandbox.foreground import CannotRun, run_in_foreground
from snakemake_executor_plugin_frceapi.sandbox.secret import SecretError, secret_of_url

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.sandbox.service import Sandbox

URL_VARIABLE = "SNAKEMAKE_FRCEAPI_URL"


@click.command("sandbox", context_settings={"allow_interspersed_args": False})
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port on 127.0.0.1.  [default: a free one]")
@click.option("--cpus", type=click.IntRange(1), default=machine_cpus, help="CPUs that the jobs share.")
@click.option("--mem-mb", type=click.IntRange(1), default=machine_mem_mb, help="Memory that the jobs share, in MB.")
@click.option(
    "--kill-wait", type=click.FloatRange(0), default=5.0, show_default=True, help="Seconds from TERM to KILL."
)
@click.option("--secret-file", type=click.Path(path_type=Path), help="File of mode 0600 with the secret of the URL.")
@click.option("--directory", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Keep job logs here.")
@click.option("--verbose", is_flag=True, help="Log requests and jobs on standard error.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def sandbox_command(
    context: click.Context,
    port: int | None,
    cpus: int,
    mem_mb: int,
    kill_wait: float,
    secret_file: Path | None,
    directory: Path | None,
    verbose: bool,
    command: tuple[str, ...],
) -> None:
    """Serve the FRCE API on this machine, with jobs as local processes.

    Without COMMAND it serves until Ctrl-C and prints the line that lets Snakemake find it. The URL is a password:
    who has it can run programs as you. With COMMAND (after --) it runs that with SNAKEMAKE_FRCEAPI_URL set, stops
    afterwards and returns its exit code.

    If SNAKEMAKE_FRCEAPI_URL already is the URL of a sandbox, serving takes port and secret from it.
    """
    secret = None
    if not command and secret_file is None and (known := secret_of_url(os.environ.get(URL_VARIABLE, ""))):
        secret, port = known[0], known[1] if port is None else port
    config = SandboxConfig(
        port=port or 0,
        secret=secret,
        secret_file=secret_file,
        cpus=cpus,
        mem_mb=mem_mb,
        kill_wait=kill_wait,
        directory=directory,
    )
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
        logging.getLogger("frceapi.sandbox").setLevel(logging.DEBUG)
    context.exit(_run(config, command) if command else _serve(config))


def _serve(config: SandboxConfig) -> int:
    """Serve until a signal ends it."""
    over = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        over.set()

    with _handled(end, signal.SIGINT, signal.SIGTERM, signal.SIGHUP), _started(config) as sandbox:
        click.echo(f"export {URL_VARIABLE}={sandbox.url}")
        click.echo(
            f"sandbox: {sandbox.public_url} with {config.cpus} CPUs and {config.mem_mb} MB; "
            "paste the line above in another shell; Ctrl-C here ends the sandbox and all its jobs",
            err=True,
        )
        over.wait()
    return 0


def _run(config: SandboxConfig, command: Sequence[str]) -> int:
    """Run a command against a sandbox and return its exit code."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handled(end, signal.SIGINT, signal.SIGTERM, signal.SIGHUP), _started(config) as sandbox:
        try:
            return run_in_foreground(command, {**os.environ, URL_VARIABLE: sandbox.url})
        except CannotRun as error:
            click.echo(f"frceapi sandbox: {error}", err=True)
            return error.exit_code


@contextmanager
def _started(config: SandboxConfig) -> Iterator[Sandbox]:
    sandbox = _start(config)
    try:
        yield sandbox
    finally:
        sandbox.stop()


def _start(config: SandboxConfig) -> Sandbox:
    try:
        from snakemake_executor_plugin_frceapi.sandbox.service import Sandbox

        sandbox = Sandbox(config)
        sandbox.start()
    except ImportError as error:
        remedy = "pip install 'snakemake-executor-plugin-frceapi[sandbox]'"
        raise click.ClickException(f"the sandbox needs {error.name}; {remedy}") from error
    except SecretError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        remedy = "choose another --port, or none for a free one"
        raise click.ClickException(
            f"cannot serve on 127.0.0.1 port {config.port}: {error.strerror}; {remedy}"
        ) from error
    return sandbox


@contextmanager
def _handled(handler: signal._HANDLER, *numbers: signal.Signals) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
