"""The test cluster for use by hand: starts it, prints what to type in another shell, and stops it at Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.cluster.rig import PASSWORD, Rig, running_rig
from tests.cluster.system import why_not


def main() -> int:
    """Serve until a signal ends it; return the exit code."""
    reason = why_not()
    if reason is not None:
        print(f"The test cluster cannot run: {reason}", file=sys.stderr)  # noqa: T201 - a program
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        with running_rig() as rig:
            print(_instructions(rig), flush=True)  # noqa: T201 - a program
            signal.pause()
    except KeyboardInterrupt:
        pass
    return 0


def _instructions(rig: Rig) -> str:
    cache = rig.directory / "ticket"
    environment = {**rig.client_environment, **rig.slurm.environment, "KRB5CCNAME": f"FILE:{cache}"}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines += [
        f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
        f"echo {PASSWORD} | kinit {rig.user}",
    ]
    return "\n".join(
        [
            "The test cluster runs. In another shell, paste:",
            "",
            *(f"  {line}" for line in lines),
            "",
            "then, in a directory with a workflow: snakemake --executor frceapi --frceapi-partition norm --jobs 10",
            f"squeue, scontrol and scancel work there, too. Logs of all parts: {rig.directory}",
            "Ctrl-C here stops everything.",
        ]
    )


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
