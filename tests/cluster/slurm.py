"""A Slurm of its own: munged, slurmctld and one slurmd on loopback ports, set up as FRCE is as far as is known."""

from __future__ import annotations

import platform
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.daemons import Daemon, RigError, run, succeeds
from tests.ports import free_ports

CLUSTER_NAME = "fnlcr"
NODE = "node1"
CPUS = 64
MEM_MB = 512_000

_PARTS = 3
_DRAIN_SECONDS = 120.0
_PAUSE_SECONDS = 0.2

_SLURM_CONF = """\
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
JobSubmitPlugins=lua
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
DependencyParameters=kill_invalid_depend
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_interval=1
ReturnToService=2
JobRequeue=1
MinJobAge={min_job_age}
KillWait={kill_wait}
Epilog=/bin/true
SlurmdTimeout=30
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} Sockets=1 CoresPerSocket={cores} ThreadsPerCore=2 \
RealMemory={mem_mb} State=UNKNOWN
PartitionName=norm Nodes={node} Default=YES DefaultTime=5-0 MaxTime=5-0 DefMemPerCPU=20000 State=UP
PartitionName=short Nodes={node} DefaultTime=30 MaxTime=30 DefMemPerCPU=20000 State=UP
PartitionName=unlimited Nodes={node} MaxTime=INFINITE DefMemPerCPU=20000 State=UP
PartitionName=largemem Nodes={node} MaxTime=INFINITE DefMemPerCPU=16000 State=UP
PartitionName=gpu Nodes={node} MaxTime=INFINITE DefMemPerCPU=8000 State=UP
"""

_SUBMIT_FILTER = """\
local filtered = { short = true, norm = true, unlimited = true }

function slurm_job_submit(job, partitions, uid)
    if filtered[job.partition] and job.time_limit ~= slurm.NO_VAL then
        if job.time_limit <= 30 then
            job.partition = "short"
        elseif job.time_limit <= 5 * 24 * 60 then
            job.partition = "norm"
        else
            job.partition = "unlimited"
        end
    end
    return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, uid)
    return slurm.SUCCESS
end

return slurm.SUCCESS
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    """How this Slurm differs from FRCE's, where tests cannot wait that long.

    Attributes:
        min_job_age: seconds after its end during which Slurm knows a job.
        kill_wait: seconds between SIGTERM and SIGKILL; 30 is Slurm's own.
        hidden: a directory that jobs see empty, None: they see all.
    """

    min_job_age: int = 300
    kill_wait: int = 30
    hidden: Path | None = None


class Slurm:
    """A Slurm cluster.

    Attributes:
        environment: the variables with which Slurm's programs find this cluster and no other.
    """

    def __init__(self, directory: Path, options: SlurmOptions) -> None:
        """Start it.

        Args:
            directory: an existing directory for all its files.
            options: waiting times.

        Raises:
            RigError: a part of it does not start.
        """
        self._directory = directory
        self._daemons: list[Daemon] = []
        self.environment = {"SLURM_CONF": str(directory / "slurm.conf")}
        self._write_configuration(options)
        try:
            self._start_munge()
            self._start("slurmctld", ["slurmctld", "-D"], ["scontrol", "ping"])
            self._start(
                "slurmd",
                [*_hiding(options.hidden), "slurmd", "-D", "-N", NODE],
                ["sh", "-c", "sinfo -h -t idle -o %n | grep -q ."],
            )
        except BaseException:
            self.stop()
            raise

    def run(self, *command: str) -> str:
        """Run one of Slurm's programs and return its standard output.

        Raises:
            RigError: its exit code is not 0.
        """
        return run(command, self.environment)

    def show_job(self, external_jobid: str) -> dict[str, str]:
        """Return what ``scontrol show job`` tells, by field."""
        (job,) = self._shown(external_jobid)
        return job

    def show_jobs(self) -> dict[str, dict[str, str]]:
        """Return the same of all jobs that Slurm knows, by number."""
        return {job["JobId"]: job for job in self._shown()}

    def job_ids(self) -> list[str]:
        """Return the ids of all jobs that have not ended."""
        return self.run("squeue", "-h", "-o", "%A").split()

    def hold(self) -> None:
        """Take jobs for the partition ``norm`` and start none, until `release`."""
        self.run("scontrol", "update", "PartitionName=norm", "State=DOWN")

    def release(self) -> None:
        """Start jobs of that partition again."""
        self.run("scontrol", "update", "PartitionName=norm", "State=UP")

    def fail_node(self) -> None:
        """Let the node be lost, with all that runs on it."""
        self.run("scontrol", "update", f"NodeName={NODE}", "State=DOWN", "Reason=test")

    def resume_node(self) -> None:
        """Bring the node back, unless it has come back by itself: Slurm refuses to resume what is up.

        Raises:
            RigError: it stays down.
        """
        try:
            self.run("scontrol", "update", f"NodeName={NODE}", "State=RESUME")
        except RigError:
            if "DOWN" in self.run("sinfo", "--noheader", f"--nodes={NODE}", "--format=%T").upper():
                raise

    def cancel_all(self) -> None:
        """Cancel all jobs and wait until none is left.

        Raises:
            RigError: Slurm does not answer, or some job does not end.
        """
        deadline = time.monotonic() + _DRAIN_SECONDS
        while job_ids := self.job_ids():
            if time.monotonic() > deadline:
                raise RigError(f"jobs {', '.join(job_ids)} have not ended {_DRAIN_SECONDS:g} s after scancel")
            succeeds(["scancel", *job_ids], self.environment)
            time.sleep(_PAUSE_SECONDS)

    def stop(self) -> None:
        """Cancel all jobs and stop the daemons."""
        try:
            if len(self._daemons) == _PARTS:
                self.cancel_all()
        except RigError as error:
            print(f"slurm: {error}", file=sys.stderr)  # noqa: T201 - the daemons are stopped all the same
        finally:
            while self._daemons:
                self._daemons.pop().stop()

    def _shown(self, *external_jobids: str) -> list[dict[str, str]]:
        lines = self.run("scontrol", "show", "job", "-o", *external_jobids).splitlines()
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines if "JobId=" in line]

    def _start_munge(self) -> None:
        key = self._directory / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        files = {"socket": "munge.socket", "key-file": key.name, "pid-file": "munge.pid", "seed-file": "munge.seed"}
        options = [f"--{option}={self._directory / name}" for option, name in files.items()]
        log = f"--log-file={self._directory / 'munge.log'}"
        command = ["munged", "--foreground", "--force", "--num-threads=2", log, *options]
        self._start("munged", command, ["munge", "-n", f"--socket={self._directory / 'munge.socket'}"])

    def _start(self, name: str, command: Sequence[str], probe: Sequence[str]) -> None:
        daemon = Daemon(name, command, self._directory, self.environment)
        self._daemons.append(daemon)
        daemon.wait_until(lambda: succeeds(probe, self.environment))

    def _write_configuration(self, options: SlurmOptions) -> None:
        controller_port, node_port = free_ports(2)
        text = _SLURM_CONF.format(
            cluster=CLUSTER_NAME,
            host=platform.node().partition(".")[0],
            user="root",
            controller_port=controller_port,
            node_port=node_port,
            directory=self._directory,
            min_job_age=options.min_job_age,
            kill_wait=options.kill_wait,
            node=NODE,
            cpus=CPUS,
            cores=CPUS // 2,
            mem_mb=MEM_MB,
        )
        (self._directory / "slurm.conf").write_text(text, encoding="ascii")
        (self._directory / "job_submit.lua").write_text(_SUBMIT_FILTER, encoding="ascii")
        for name in ("state", "spool"):
            (self._directory / name).mkdir()


def _hiding(directory: Path | None) -> list[str]:
    """Return the words that stand before a command so that it, and all that it starts, sees a directory empty."""
    if directory is None:
        return []
    mount = 'mount -t tmpfs -o mode=0555 none "$1" && shift && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", mount, "sh", str(directory)]
