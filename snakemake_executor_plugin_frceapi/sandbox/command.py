"""The console command ``frceapi sandbox``: serve until Ctrl-C, or run one command against a sandbox of its own."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

import click

from snakemake_executor_plugin_frceapi.sandbox.backend import BackendError
from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig, machine_cpus, machine_mem_mb
from snakemake_executor_plugin_frceapi.sandbox.foreground import CannotRun, run_in_foreground
from snakemake_executor_plugin_frceapi.sandbox.secret import SecretError, secret_of_url

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.sandbox.gateway import SlurmGateway
    from snakemake_executor_plugin_frceapi.sandbox.service import Sandbox

    Service = Sandbox | SlurmGateway
    Start = Callable[[], Service]

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
@click.option(
    "--backend",
    type=click.Choice(["local", "slurm"]),
    default="local",
    show_default=True,
    help="Run jobs as processes of this machine, or hand them to its Slurm (for tests of this package).",
)
@click.option("--principal", help="With a proxy that authenticates before a Slurm: whom it must name.")
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
    backend: str,
    principal: str | None,
    verbose: bool,
    command: tuple[str, ...],
) -> None:
    """Serve the FRCE API on this machine, with jobs as local processes.

    Without COMMAND it serves until Ctrl-C and prints the line that lets Snakemake find it. The URL is a password:
    who has it can run programs as you. With COMMAND (after --) it runs that with SNAKEMAKE_FRCEAPI_URL set, stops
    afterwards and returns its exit code.

    If SNAKEMAKE_FRCEAPI_URL already is the URL of a sandbox, serving takes port and secret from it.

    Example:  frceapi sandbox -- snakemake --executor frceapi --frceapi-partition norm --jobs 4
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
    before_slurm = backend == "slurm"
    start = partial(_start, config, principal, before_slurm=before_slurm)
    about = "before Slurm" if before_slurm else f"with {cpus} CPUs and {mem_mb} MB"
    fate = "and leaves its jobs alone" if before_slurm else "and all its jobs"
    context.exit(_run(start, command) if command else _serve(start, about, fate))


def _serve(start: Start, about: str, fate: str) -> int:
    """Serve until a signal ends it.

    Args:
        start: starts what serves.
        about: what runs the jobs, for the line that is printed.
        fate: what becomes of the jobs at the end, likewise.
    """
    # Not an event: one that is set while the thread that is interrupted begins to wait for it locks both up.
    ends = SimpleQueue[int]()

    def end(number: int, _: FrameType | None) -> None:
        ends.put(number)

    with _handled(end, signal.SIGINT, signal.SIGTERM, signal.SIGHUP), _started(start) as sandbox:
        click.echo(f"export {URL_VARIABLE}={sandbox.url}")
        click.echo(
            f"sandbox: {sandbox.public_url} {about}; paste the line above in another shell; "
            f"Ctrl-C here ends the sandbox {fate}",
            err=True,
        )
        ends.get()
    return 0


def _run(start: Start, command: Sequence[str]) -> int:
    """Run a command against a sandbox and return its exit code."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handled(end, signal.SIGINT, signal.SIGTERM, signal.SIGHUP), _started(start) as sandbox:
        try:
            return run_in_foreground(command, {**os.environ, URL_VARIABLE: sandbox.url})
        except CannotRun as error:
            click.echo(f"frceapi sandbox: {error}", err=True)
            return error.exit_code


@contextmanager
def _started(start: Start) -> Iterator[Service]:
    sandbox = start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


def _service(config: SandboxConfig, principal: str | None, *, before_slurm: bool) -> Service:
    if before_slurm:
        from snakemake_executor_plugin_frceapi.sandbox.gateway import SlurmGateway

        return SlurmGateway(config, principal)
    from snakemake_executor_plugin_frceapi.sandbox.service import Sandbox

    return Sandbox(config)


def _start(config: SandboxConfig, principal: str | None, *, before_slurm: bool) -> Service:
    try:
        sandbox = _service(config, principal, before_slurm=before_slurm)
        sandbox.start()
    except ImportError as error:
        remedy = "pip install 'snakemake-executor-plugin-frceapi[sandbox]'"
        raise click.ClickException(f"the sandbox needs {error.name}; {remedy}") from error
    except (BackendError, SecretError) as error:
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
