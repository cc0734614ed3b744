"""The environment in which a job starts: Slurm's variables and a user's bare minimum, nothing of the caller's. Pure."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from snakemake_executor_plugin_frceapi.sandbox.jobs import Job

CLUSTER_NAME = "sandbox"
NODE_NAME = "sandbox-node1"


@dataclass(frozen=True, slots=True)
class User:
    """The user as whom the jobs run: the one who started the sandbox, as the password database knows them."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    @classmethod
    def current(cls) -> User:
        """The user of this process; a number without an entry in the database serves as its own name."""
        uid = os.getuid()
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return cls(str(uid), uid, os.getgid(), "/", "/bin/sh")
        return cls(entry.pw_name, uid, entry.pw_gid, entry.pw_dir, entry.pw_shell or "/bin/sh")

    @property
    def job_name(self) -> str:
        """The name of every job of this user: the API has no key for it."""
        return f"{self.name}-"


def job_environment(job: Job, user: User, dependency: str | None) -> dict[str, str]:
    """The environment of a job that starts now; sbatch(1), "OUTPUT ENVIRONMENT VARIABLES".

    Args:
        job: with its start time and restart count.
        user: its owner.
        dependency: the dependency expression that the job was submitted with, if any.
    """
    variables: dict[str, object | None] = {
        **_login(user),
        **_identity(job, user),
        **_allocation(job),
        "SLURM_JOB_DEPENDENCY": dependency,
        "SLURM_RESTART_COUNT": job.restarts or None,
        "SLURM_JOB_START_TIME": int(job.started_at or 0),
        "SLURM_JOB_END_TIME": int(job.started_at or 0) + (job.time_limit_s or 365 * 24 * 3600),
    }
    return {name: str(value) for name, value in variables.items() if value is not None}


def _login(user: User) -> dict[str, object | None]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": user.home,
        "USER": user.name,
        "LOGNAME": user.name,
        "SHELL": user.shell,
    }


def _identity(job: Job, user: User) -> dict[str, object | None]:
    return {
        "ENVIRONMENT": "BATCH",
        "SLURM_CLUSTER_NAME": CLUSTER_NAME,
        "SLURM_JOB_ID": job.job_id,
        "SLURM_JOBID": job.job_id,
        "SLURM_JOB_NAME": user.job_name,
        "SLURM_JOB_PARTITION": job.partition.name,
        "SLURM_JOB_USER": user.name,
        "SLURM_JOB_UID": user.uid,
        "SLURM_JOB_GID": user.gid,
        "SLURM_SUBMIT_DIR": job.directory,
        "SLURM_SUBMIT_HOST": NODE_NAME,
        "SLURMD_NODENAME": NODE_NAME,
        "SLURM_NODEID": 0,
        "SLURM_PROCID": 0,
        "SLURM_LOCALID": 0,
    }


def _allocation(job: Job) -> dict[str, object | None]:
    """What the job was given; the variables of what was not asked for are unset, as Slurm leaves them."""
    asked = job.submission
    cpus_on_node = -(-asked.cpus // asked.nodes)
    mem_per_cpu = asked.mem_mb_per_cpu
    if asked.mem_mb_per_node is None and mem_per_cpu is None:
        mem_per_cpu = job.partition.default_mem_mb_per_cpu
    return {
        "SLURM_CPUS_PER_TASK": asked.cpus_per_task,
        "SLURM_NTASKS": asked.ntasks,
        "SLURM_NPROCS": asked.ntasks,
        "SLURM_NTASKS_PER_NODE": asked.ntasks_per_node,
        "SLURM_NTASKS_PER_CORE": asked.ntasks_per_core,
        "SLURM_TASKS_PER_NODE": _per_node(-(-asked.tasks // asked.nodes), asked.nodes),
        "SLURM_CPUS_ON_NODE": cpus_on_node,
        "SLURM_JOB_CPUS_PER_NODE": _per_node(cpus_on_node, asked.nodes),
        "SLURM_MEM_PER_NODE": asked.mem_mb_per_node or None,
        "SLURM_MEM_PER_CPU": mem_per_cpu or None,
        "SLURM_NODELIST": NODE_NAME,
        "SLURM_JOB_NODELIST": NODE_NAME,
        "SLURM_NNODES": asked.nodes,
        "SLURM_JOB_NUM_NODES": asked.nodes,
    }


def _per_node(count: int, nodes: int) -> str:
    return f"{count}(x{nodes})" if nodes > 1 else str(count)
