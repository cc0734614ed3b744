"""Each key of a request reaches Slurm as it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.job import Accepted, JobRequest, Refused
from snakemake_executor_plugin_frceapi.wire import Encoding, NumberFormat, encode_request

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_SCRIPT = "#!/bin/bash\nexec sleep 300\n"
_ENCODINGS = {
    "default": Encoding(),
    "strings": Encoding(NumberFormat.STRING),
    "with-unit": Encoding(memory_unit="M"),
}


@pytest.fixture
def client(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client with a ticket, as a process of the user has it."""
    for name in ("KRB5_CONFIG", "KRB5CCNAME"):
        monkeypatch.setenv(name, desk.environment[name])
    made = Client(ClientConfig(desk.rig.web.url, ca_bundle=desk.rig.ca_bundle))
    yield made
    made.close()


def submit(client: Client, script: str = _SCRIPT, encoding: str = "default", **asked: Any) -> str:
    """Submit a job and return its id."""
    request = JobRequest(**{"partition": "norm", "mem_mb_per_cpu": 10, **asked})
    outcome = client.submit_job(encode_request(request, script, _ENCODINGS[encoding]))
    assert isinstance(outcome, Accepted), outcome
    return outcome.external_jobid


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize(
    ("asked", "field", "shown"),
    [
        ({"partition": "gpu"}, "Partition", "gpu"),
        ({"ntasks": 3}, "NumTasks", "3"),
        ({"ntasks": 2, "ntasks_per_core": 1}, "NtasksPerN:B:S:C", "0:0:*:1"),
        ({"ntasks": 2, "ntasks_per_node": 2}, "NtasksPerN:B:S:C", "2:0:*:*"),
        ({"cpus_per_task": 4}, "CPUs/Task", "4"),
        ({"mem_mb_per_cpu": 70}, "MinMemoryCPU", "70M"),
        ({"mem_mb_per_cpu": None, "mem_mb_per_node": 300}, "MinMemoryNode", "300M"),
        ({"time_limit_minutes": 26 * 60 + 3}, "TimeLimit", "1-02:03:00"),
    ],
    ids=str,
)
def test_key_reaches_slurm(
    desk: Desk, client: Client, asked: dict[str, Any], field: str, shown: str, encoding: str
) -> None:
    """``scontrol show job`` shows what was asked, in each encoding."""
    job = submit(client, encoding=encoding, **asked)

    assert desk.rig.slurm.show_job(job)[field] == shown


def test_dependency_reaches_slurm(desk: Desk, client: Client) -> None:
    """A job waits for the one that it names."""
    first = submit(client)
    second = submit(client, dependency=f"afterok:{first}")

    assert desk.rig.slurm.show_job(second)["Dependency"] == f"afterok:{first}(unfulfilled)"


def test_script_reaches_slurm_without_directives(desk: Desk, client: Client) -> None:
    """The batch script is what was sent, but for the lines that the service strips."""
    job = submit(client, script="#!/bin/bash\n#SBATCH --exclusive\n# é\nsleep 300\n")

    assert desk.rig.slurm.run("scontrol", "write", "batch_script", job, "-").strip() == "#!/bin/bash\n# é\nsleep 300"


@pytest.mark.parametrize(
    ("minutes", "partition"), [(30, "short"), (31, "norm"), (5 * 24 * 60, "norm"), (5 * 24 * 60 + 1, "unlimited")]
)
def test_time_limit_chooses_partition(desk: Desk, client: Client, minutes: int, partition: str) -> None:
    """The submit filter moves a job to the partition for its time limit."""
    assert desk.rig.slurm.show_job(submit(client, time_limit_minutes=minutes))["Partition"] == partition


def test_job_starts_with_nothing_of_the_caller(desk: Desk, client: Client) -> None:
    """The job has a bare environment and a working directory that is not the workflow's."""
    out = desk.directory / "environment"
    job = submit(client, script=f"#!/bin/bash\n{{ env; echo PWD_IS=$PWD; }} >{out}.part; mv {out}.part {out}\n")
    desk.wait_for(out.exists, f"the end of job {job}")
    names = {line.partition("=")[0] for line in desk.read("environment").splitlines()}

    assert names & {"KRB5CCNAME", "KRB5_CONFIG", "SNAKEMAKE_FRCEAPI_URL", "VIRTUAL_ENV", "PYTHONPATH"} == set()
    assert str(desk.directory) not in desk.read("environment")


def test_unknown_partition_is_refused(client: Client) -> None:
    """A partition that Slurm does not have is refused in the API's words."""
    outcome = client.submit_job(encode_request(JobRequest(partition="nowhere"), _SCRIPT, Encoding()))

    assert isinstance(outcome, Refused)
    assert outcome.code == "bad_partition"


def test_refusal_of_sbatch_is_told(client: Client) -> None:
    """What sbatch refuses is refused in the API's words."""
    request = JobRequest(partition="norm", dependency="whenever:1")
    outcome = client.submit_job(encode_request(request, _SCRIPT, Encoding()))

    assert isinstance(outcome, Refused)
    assert outcome.code == "backend_query_job_submission_failed"


def test_job_whose_dependency_failed_is_cancelled(desk: Desk, client: Client) -> None:
    """``kill_invalid_depend``: Slurm cancels a job whose dependency can never be met."""
    first = submit(client, script="#!/bin/bash\nexit 1\n")
    second = submit(client, dependency=f"afterok:{first}")
    desk.wait_for(lambda: desk.listing()[second]["state"] == "CANCELLED", "the end of the dependent job", 120)

    assert desk.listing()[first]["state"] == "FAILED"


def test_dependency_on_unknown_id_runs_at_once(desk: Desk, client: Client) -> None:
    """Debian's Slurm accepts a dependency on a job that it does not know and takes it as met; FRCE's refuses it."""
    job = submit(client, dependency="afterok:999999")
    desk.wait_for(lambda: desk.listing()[job]["state"] == "RUNNING", "the start of the job")


def test_job_over_a_cap_is_accepted_and_waits(desk: Desk, client: Client) -> None:
    """A job that no node can ever run is not refused: it pends."""
    job = submit(client, cpus_per_task=1000)

    assert desk.rig.slurm.show_job(job)["JobState"] == "PENDING"
