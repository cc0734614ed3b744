"""Jobs that ask for more than a few CPUs: tasks of MPI, a group, many inputs, a long job command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_INPUTS = 500
_NOTE_BYTES = 60_000
_MEMBERS = 10
_SNAKEFILE = """
    rule all:
        input: "ranks.txt", "sum.txt", "note.txt", expand("part/{n}.txt", n=range(MEMBERS))
        localrule: True

    rule ranks:
        output: "ranks.txt"
        resources: tasks=4, mpi="srun", mem_mb_per_cpu=200
        shell: "{resources.mpi} -n {resources.tasks} sh -c 'echo $SLURM_PROCID of $SLURM_NTASKS' >{output}"

    rule sum:
        output: "sum.txt"
        input: expand("input/a_rather_long_name_of_a_file_with_number_{n}.txt", n=range(INPUTS))
        shell: "echo {input} | wc -w >{output}"

    rule note:
        output: "note.txt"
        run:
            Path(output[0]).write_text(str(len(config["note"])))

    rule part:
        output: "part/{n}.txt"
        group: "parts"
        resources: tasks=1, mem_mb_per_cpu=80, runtime=40
        shell: "echo $SLURM_NTASKS $SLURM_CPUS_PER_TASK $SLURM_MEM_PER_CPU >{output}"
"""


def names_at_slurm(desk: Desk, rows: list[list[str]]) -> list[str]:
    """The names that Slurm shows for the jobs in rows of the table of jobs."""
    return [desk.rig.slurm.show_job(external_jobid)["JobName"] for external_jobid, *_ in rows]


def test_demanding_jobs_get_what_they_ask_for(desk: Desk) -> None:
    """Four tasks run as steps of one job, ten jobs as one task, and neither inputs nor command are too many or long."""
    desk.write("Snakefile", _SNAKEFILE.replace("MEMBERS", str(_MEMBERS)).replace("INPUTS", str(_INPUTS)))
    (desk.directory / "input").mkdir()
    for number in range(_INPUTS):
        (desk.directory / "input" / f"a_rather_long_name_of_a_file_with_number_{number}.txt").touch()
    result = desk.run("--group-components", f"parts={_MEMBERS}", "--config", f"note={'x' * _NOTE_BYTES}")

    assert result.exit_code == 0, result.output[-5000:]
    assert sorted(desk.read("ranks.txt").splitlines()) == [f"{rank} of 4" for rank in range(4)]
    assert desk.read("sum.txt").split() == [str(_INPUTS)]
    assert desk.read("note.txt") == str(_NOTE_BYTES)
    assert {desk.read(f"part/{n}.txt") for n in range(_MEMBERS)} == {f"1 {_MEMBERS} 80\n"}
    rows = [line.split("\t") for line in desk.read(".snakemake/frceapi_logs/jobs.tsv").splitlines()[1:]]
    assert len(rows) == 4
    desk.wait_for(lambda: names_at_slurm(desk, rows) == [row[1] for row in rows], "the names of the jobs")
