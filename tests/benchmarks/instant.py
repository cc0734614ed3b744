"""A cluster that ends jobs without running them, for each executor in the way that it reaches its jobs."""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_frceapi.sandbox.server import LoopbackServer
from tests.benchmarks.payload import use_payload
from tests.cluster.desk import Desk
from tests.cluster.programs import put_first
from tests.cluster.rig import Rig

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_PATH = "/hpcapi"
_DIRECTORY = re.compile(r"^d=(.*)$", re.MULTILINE)
_OUTPUT = re.compile(r'"output": \["([^"]+)"')
_END = "id={id} restart=0 exit=0 cause=own start={now} end={now} cpu_ticks=1 gate=0 node=n1 peak_kb=1 peak_by=samples\n"
_ROW = {"name": "hpcapi", "partition": "norm", "start": "2026-01-01T00:00:00", "end": "2026-01-01T00:00:01"}

# What the slurm plugin calls; the number of a job follows from its wildcard.
_PROGRAMS = {
    "sbatch": """\
#!/bin/bash
[[ $* =~ --target-jobs[^:]*:n=([0-9]+) ]] || exit 1
n=${BASH_REMATCH[1]}
: >"out/$n"
echo "$((n + 1))|COMPLETED" >>ended
echo "$((n + 1))"
""",
    "squeue": "#!/bin/sh\ntouch ended\ncat ended\n",
    "scontrol": "#!/bin/sh\necho 'MinJobAge = 300 sec'\necho 'MaxArraySize = 1001'\n",
    "submit": '#!/bin/sh\n/bin/bash "$1"\necho 1\n',
}


class _App:
    """The API: takes a job, makes its output and the end that it would have recorded, and lists it as COMPLETED."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if environ["REQUEST_METHOD"] == "POST":
            answer = self._take(json.loads(environ["wsgi.input"].read())["script-body"])
        else:
            with self._lock:
                answer = {"status": "call_success", **self._rows, "reason": "query_success"}
        body = json.dumps(answer).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _take(self, script: str) -> dict[str, object]:
        with self._lock:
            job_id = str(len(self._rows) + 1)
            self._rows[job_id] = {**_ROW, "state": "COMPLETED"}
        found = _DIRECTORY.search(script)
        assert found, script
        (directory,) = shlex.split(found[1])
        _end(Path(directory), job_id)
        return {"status": "call_success", "reason": job_id}


def _end(directory: Path, job_id: str) -> None:
    """Leave what a job leaves whose working directory is that of Snakemake."""
    jobscript = next(directory.glob("job-*")).read_text("utf-8")
    workdir = next(parent for parent in directory.parents if parent.name == ".snakemake").parent
    (workdir / _OUTPUT.findall(jobscript)[0]).touch()
    (directory / "claim").write_text(f"{job_id}\n", encoding="ascii")
    end = directory / f"end.{job_id}.0"
    end.write_text(_END.format(id=job_id, now=time.time()), encoding="ascii")
    (directory.parents[1] / "done" / directory.name).hardlink_to(end)


@contextmanager
def instant_cluster(rig: Rig, desk: Desk) -> Iterator[tuple[str, ...]]:
    """Let the jobs ``n`` of a desk's runs end as they are submitted; gives the arguments of Snakemake that do it.

    The API stands behind the Apache of a rig, so that requests cost what they cost.
    """
    options = use_payload(desk)
    put_first(desk, _PROGRAMS)
    server = LoopbackServer("127.0.0.1", 0, _App(), lambda *_: None)
    server.start()
    web = rig.start_web(desk.directory.parent.name, f"http://127.0.0.1:{server.port}{_PATH}")
    desk.environment["SNAKEMAKE_FRCEAPI_URL"] = web.url
    try:
        yield options
    finally:
        web.stop()
        server.stop()
