"""``frceapi doctor`` where each step fails for real: the line names the cause and the remedy."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.cluster.kdc import REALM
from tests.cluster.rig import PASSWORD, STRANGER
from tests.cluster.web import HOST

if TYPE_CHECKING:
    from tests.cluster.conftest import StartWeb
    from tests.cluster.desk import Desk


def doctor(desk: Desk, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command at a desk; return its exit code and its findings by step."""
    done = desk.command("doctor", "--json", *arguments)
    return done.returncode, {step["step"]: step for step in json.loads(done.stdout)["steps"]}


def failed(steps: dict[str, Any]) -> list[str]:
    """Return the names of the steps that failed."""
    return [name for name, step in steps.items() if step["outcome"] == "failed"]


def test_finds_nothing_wrong(desk: Desk) -> None:
    """With a ticket each step says what it saw, and no job is left."""
    exit_code, steps = doctor(desk)

    assert (exit_code, failed(steps)) == (0, []), steps
    assert steps["ticket"]["text"].startswith(f"{desk.principal} in FILE:{desk.cache}, until ")
    assert steps["tls"]["facts"]["version"].startswith("TLSv1.")
    assert "signed by" in steps["tls"]["text"]
    assert steps["http"]["facts"] == {"status_code": 401, "challenge": "Negotiate"} | {
        "server": steps["http"]["facts"]["server"]
    }
    assert steps["clock"]["text"] == "as the service's"
    assert 100 < steps["ticket size"]["facts"]["token_bytes"] < 8000
    assert steps["submit_job"]["facts"] == {"code": "no_partition_given"}
    assert desk.rig.slurm.job_ids() == []


def test_names_a_missing_ticket(desk: Desk) -> None:
    """Without a ticket the network is examined all the same, and nothing is sent with a token."""
    desk.cache.unlink()
    exit_code, steps = doctor(desk)

    assert (exit_code, failed(steps)) == (1, ["ticket"])
    assert steps["ticket"]["text"] == f"there is no Kerberos ticket in FILE:{desk.cache}: type `kinit`"
    assert steps["clock"]["outcome"] == "ok"
    assert steps["submit_job"]["text"] == "not tried, because ticket failed"


def test_names_an_expired_ticket(desk: Desk) -> None:
    """It is told whose it was and when it ended."""
    desk.kinit("-l", "1s")
    time.sleep(2)
    exit_code, steps = doctor(desk)

    assert (exit_code, failed(steps)) == (1, ["ticket"])
    assert steps["ticket"]["text"].startswith(
        f"the Kerberos ticket of {desk.principal} in FILE:{desk.cache} expired on "
    )
    assert steps["ticket"]["text"].endswith(": type `kinit`")


def test_names_an_account_that_the_service_does_not_know(desk: Desk) -> None:
    """A good ticket of somebody without an account: neither ticket nor network is blamed."""
    desk.rig.kdc.kinit(desk.cache, STRANGER, PASSWORD)
    exit_code, steps = doctor(desk)

    assert (exit_code, failed(steps)) == (1, ["authentication"])
    assert "this account may not use the API; ask the cluster's staff" in steps["authentication"]["text"]


def test_names_an_address_that_is_none_of_the_api(desk: Desk) -> None:
    """Where nothing asks for a ticket it is not said that one was accepted; the URL is the remedy of each call."""
    exit_code, steps = doctor(desk, "--url", desk.rig.web.url.replace("hpcapi", "other"))

    assert (exit_code, failed(steps)) == (1, ["query_status", "submit_job"])
    assert [steps[name]["outcome"] for name in ("http", "authentication")] == ["note", "note"]
    assert "nobody knows whether yours is good" in steps["authentication"]["text"]
    assert {steps[name]["text"].rpartition("; ")[2] for name in failed(steps)} == {"check --url"}


@pytest.mark.parametrize("command", ["jobs", "cancel --run", "submit job.sh -p norm"])
def test_other_commands_name_a_missing_ticket(desk: Desk, command: str) -> None:
    """Each command ends with the one line that says what to do."""
    desk.cache.unlink()
    desk.write("job.sh", "#!/bin/sh\n")
    done = desk.command(*command.split())

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: there is no Kerberos ticket in FILE:{desk.cache}: type `kinit`\n"


def test_names_an_unknown_host(desk: Desk) -> None:
    """A host that has no address: the option of this command is the remedy."""
    exit_code, steps = doctor(desk, "--url", "https://nowhere.invalid/hpcapi")

    assert (exit_code, failed(steps)) == (1, ["dns"])
    assert steps["dns"]["text"].endswith("check the network and --url")
    assert steps["authentication"]["text"] == "not tried, because dns failed"


@pytest.mark.usefixtures("trusting")
def test_names_who_signed_a_certificate_that_is_not_trusted(desk: Desk) -> None:
    """The certificates that the service sent are shown, so that the right authority can be found."""
    exit_code, steps = doctor(desk)

    assert (exit_code, failed(steps)) == (1, ["tls"])
    assert "name its PEM file with --ca-bundle (the service sent: '" in steps["tls"]["text"]
    assert "' signed by '" in steps["tls"]["text"]


@pytest.mark.usefixtures("trusting")
def test_names_the_host_of_a_wrong_certificate(desk: Desk, authority: trustme.CA, start_web: StartWeb) -> None:
    """A certificate for another host: the URL is the remedy, and the line shows whose it is."""
    start_web(authority.issue_cert("elsewhere.test", common_name="elsewhere.test"))
    exit_code, steps = doctor(desk)

    assert (exit_code, failed(steps)) == (1, ["tls"])
    assert f"not valid for '{HOST}'" in steps["tls"]["text"]
    assert "the service sent: 'elsewhere.test' signed by" in steps["tls"]["text"]


def test_does_not_wait_for_a_silent_kdc(desk: Desk) -> None:
    """A KDC that takes requests and answers none ends one step, within its limit."""
    desk.rig.kdc.silence()
    try:
        exit_code, steps = doctor(desk)
    finally:
        desk.rig.kdc.speak()

    assert (exit_code, failed(steps)) == (1, ["authentication"])
    assert steps["authentication"]["text"] == "no KDC answered within 15 s; check the network or VPN"
    assert steps["http"]["outcome"] == "ok"


def test_names_a_service_that_kerberos_does_not_know(desk: Desk) -> None:
    """A wrong service principal is told by its name."""
    exit_code, steps = doctor(desk, "--target-name", "HTTP@elsewhere.test")

    assert (exit_code, failed(steps)) == (1, ["authentication"])
    assert f"HTTP/elsewhere.test@{REALM}" in steps["authentication"]["text"]


def test_tells_what_a_job_finds(desk: Desk) -> None:
    """Each key of a request is compared with what Slurm gave, and the lines of the profile follow."""
    done = desk.command("doctor", "--json", "--submit", "-p", "norm")
    document = json.loads(done.stdout)
    steps = {step["step"]: step for step in document["steps"]}

    assert (done.returncode, failed(steps)) == (0, []), steps
    asked = ("ntasks", "ntasks-per-core", "ntasks-per-node", "cpus-per-task", "mem-per-node", "timelimit")
    given = {key: (steps[key]["facts"]["asked"], steps[key]["facts"]["given"]) for key in asked}
    assert given == {
        "ntasks": ("1", "1"),
        "ntasks-per-core": ("1", "1"),
        "ntasks-per-node": ("1", "1"),
        "cpus-per-task": ("2", "2"),
        "mem-per-node": ("500 MB", "500 MB"),
        "timelimit": ("5 min", "00:05:00"),
    }
    assert steps["start"]["facts"]["cluster"] == "fnlcr"
    assert "SLURM_JOB_ID" in steps["environment"]["facts"]["names"]
    assert "KRB5CCNAME" not in steps["environment"]["facts"]["names"]
    assert document["profile"][0] == "frceapi-number-format: integer"
    assert list((desk.directory / ".snakemake" / "frceapi").glob("*/*/*")) == []


def test_names_a_partition_that_the_service_does_not_take(desk: Desk) -> None:
    """A wrong partition is refused by the service, and that is what is said."""
    exit_code, steps = doctor(desk, "--submit", "-p", "nowhere")

    assert (exit_code, failed(steps)) == (1, ["probe"])
    assert steps["probe"]["text"].startswith("the service refused the job (bad_partition): ")
    assert steps["probe"]["text"].endswith("choose another one with -p")


def test_names_a_directory_that_the_nodes_do_not_see(desk: Desk) -> None:
    """A job that finds no run directory ends without a trace: shared storage is the remedy."""
    mount = 'mount -t tmpfs none "$PWD" && cd "$PWD" && exec "$@"'
    unseen = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    done = desk.command("doctor", "--json", "--submit", "-p", "norm", before=unseen)
    if not done.stdout and "mount" in done.stderr:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    steps = {step["step"]: step for step in json.loads(done.stdout)["steps"]}

    assert (done.returncode, failed(steps)) == (1, ["start"])
    assert "the nodes do not see this directory; go to one on shared storage" in steps["start"]["text"]
