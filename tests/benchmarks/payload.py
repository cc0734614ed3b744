"""Jobs that start no Snakemake on their node, for every executor alike: two cores could not run hundreds of those."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cluster.desk import Desk
from tests.cluster.programs import put_first

_WORKFLOW = """\
rule all:
    input: expand("out/{{n}}", n=range({count}))
    localrule: True

rule one:
    output: "out/{{n}}"
    shell: "touch {{output}}"
"""

_PAYLOAD = """\
#!/bin/bash
WORK
: >"$1"
echo "$1 $EPOCHREALTIME" >>ends
"""

# A job ends well for cluster-generic when it has made a file of its own.
_JOBSCRIPT = r"""#!/bin/bash
# properties = {properties}
output=$(sed -n '2s/.*"output": \["\([^"]*\)".*/\1/p' "$0")
marker=$(sed -n "s/.*touch '\([^']*jobfinished\)'.*/\1/p" "$0")
/bin/bash payload.sh "$output"
[ -z "$marker" ] || touch "$marker"
exit
{exec_job}
"""

# The slurm plugin does not use a jobscript.
_SBATCH = """\
#!/bin/bash
words=()
for word; do
    if [[ $word =~ --target-jobs[^:]*:n=([A-Za-z0-9]+) ]]; then
        word="--wrap=/bin/bash payload.sh out/${BASH_REMATCH[1]}"
    fi
    words+=("$word")
done
exec SBATCH "${words[@]}"
"""


def write_workflow(desk: Desk, count: int) -> None:
    """Write a workflow with so many jobs that do not depend on each other."""
    desk.write("Snakefile", _WORKFLOW.format(count=count))


def use_payload(desk: Desk, work: str = ":") -> tuple[str, ...]:
    """Let the jobs of a desk's runs make their output ``out/{n}`` themselves, whose one wildcard is ``n``.

    They note their ends, see `ends`.

    Args:
        desk: the desk.
        work: shell lines that come before.

    Returns:
        The arguments of Snakemake that do it.
    """
    (desk.directory / "out").mkdir()
    desk.write("payload.sh", _PAYLOAD.replace("WORK", work))
    desk.write("jobscript.sh", _JOBSCRIPT)
    put_first(desk, {"sbatch": _SBATCH.replace("SBATCH", shutil.which("sbatch") or "sbatch")})
    return "--jobscript", str(desk.directory / "jobscript.sh")


def ends(directory: Path) -> dict[str, float]:
    """Return when each job ended that makes a file, in seconds of the epoch."""
    lines = (directory / "ends").read_text("ascii").splitlines()
    return {name: float(moment.replace(",", ".")) for name, moment in map(str.split, lines)}
