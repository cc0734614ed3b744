"""What protects tickets and jobs on their way: certificates, https, and no redirects; each fault is one line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault
from snakemake_executor_plugin_frceapi.job import JobRequest, NotSent
from snakemake_executor_plugin_frceapi.wire import Encoding, encode_request
from tests.cluster.daemons import run
from tests.cluster.web import HOST

if TYPE_CHECKING:
    from tests.cluster.conftest import StartWeb
    from tests.cluster.desk import Desk

_SNAKEFILE = """
    rule one:
        output: "one.txt"
        shell: "echo 1 >{output}"
"""

_ELSEWHERE = "127.0.0.1"
"""Another name of the host of `HOST`, and so another service for Kerberos."""


def only_error(desk: Desk, *arguments: str) -> str:
    """Run the workflow, which must end before anything is submitted, and return its only line that is an error."""
    desk.write("Snakefile", _SNAKEFILE)
    result = desk.run(*arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert desk.rig.slurm.job_ids() == []
    assert not (desk.directory / "one.txt").exists()
    lines = [line for line in result.output.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ")


@pytest.mark.usefixtures("trusting")
def test_untrusted_certificate(desk: Desk) -> None:
    """The certificate of an authority that is not trusted: the option that names its file is the remedy."""
    error = only_error(desk)

    assert error.startswith(f"cannot reach {desk.rig.web.url}/query_status: its certificate is not trusted (")
    assert error.endswith("name its PEM file with --frceapi-ca-bundle")


@pytest.mark.usefixtures("trusting")
def test_certificate_of_another_host(desk: Desk, authority: trustme.CA, start_web: StartWeb) -> None:
    """A certificate for another host: the URL is what to look at, not the authority."""
    start_web(authority.issue_cert("elsewhere.test"))
    error = only_error(desk)

    assert "Hostname mismatch" in error
    assert error.endswith("check --frceapi-url: it must name the host as the certificate does")


@pytest.mark.usefixtures("trusting")
def test_expired_certificate(desk: Desk, authority: trustme.CA, start_web: StartWeb) -> None:
    """An expired certificate: neither URL nor authority is wrong."""
    start_web(authority.issue_cert(HOST, not_after=datetime.now(UTC) - timedelta(days=1)))
    error = only_error(desk)

    assert "certificate has expired" in error
    assert error.endswith("check this machine's clock; if it is right, the site must renew the certificate")


@pytest.mark.usefixtures("trusting")
def test_setting_wins_over_environment(desk: Desk) -> None:
    """``--frceapi-ca-bundle`` makes a run good that ``REQUESTS_CA_BUNDLE`` would let fail."""
    desk.write("Snakefile", _SNAKEFILE)
    result = desk.run("--frceapi-ca-bundle", str(desk.rig.ca_bundle))

    assert result.exit_code == 0, result.output
    assert desk.read("one.txt") == "1\n"


def test_environment_does_not_rescue_setting(desk: Desk, authority: trustme.CA, tmp_path: Path) -> None:
    """With a wrong ``--frceapi-ca-bundle`` a good ``REQUESTS_CA_BUNDLE`` is not looked at."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)

    assert "its certificate is not trusted (" in only_error(desk, "--frceapi-ca-bundle", str(bundle))


@pytest.mark.parametrize("source", ["--frceapi-ca-bundle", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "which cannot be read: give an existing PEM file"),
        ("no certificate\n", "which holds no certificate: give the PEM file of the site's authority"),
    ],
    ids=["missing", "no PEM"],
)
def test_bundle_that_is_none(desk: Desk, tmp_path: Path, source: str, content: str | None, said: str) -> None:
    """A missing file, and one without certificates, are named with where the name came from."""
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content, encoding="ascii")
    desk.environment["REQUESTS_CA_BUNDLE"] = str(bundle)
    arguments = (source, str(bundle)) if source.startswith("--") else ()

    assert only_error(desk, *arguments) == f"{source} is '{bundle}', {said}"


@pytest.mark.parametrize("url", ["http://elsewhere.test/hpcapi", "http://192.0.2.1:8080/hpcapi"])
def test_plain_http_is_refused(desk: Desk, url: str) -> None:
    """No plain http to another machine: nothing is sent, not even a name is looked up."""
    desk.environment["SNAKEMAKE_FRCEAPI_URL"] = url

    assert only_error(desk) == f"--frceapi-url is {url!r}: only https is safe to a host other than this one"


@pytest.fixture
def moved(desk: Desk, authority: trustme.CA, start_web: StartWeb) -> str:
    """The URL of an API that has moved to a host which would get a ticket, too."""
    desk.rig.kdc.add_keytab(f"HTTP/{_ELSEWHERE}")
    target = desk.rig.web.url.replace(HOST, _ELSEWHERE)
    web = start_web(authority.issue_cert(HOST), f"Redirect 307 /moved {target}")
    return web.url.replace("/hpcapi", "/moved")


@pytest.mark.usefixtures("trusting")
def test_redirect_is_refused(desk: Desk, moved: str) -> None:
    """A redirect is not followed, and no ticket for the other host is asked for."""
    desk.environment["SNAKEMAKE_FRCEAPI_URL"] = moved
    error = only_error(desk)

    assert "status code 307" in error
    assert error.endswith(f"a redirect to {_ELSEWHERE} is not followed; set --frceapi-url to the API itself")
    assert services(desk) == [f"HTTP/{HOST}"]


def test_redirect_of_a_submission_is_refused(
    desk: Desk, moved: str, trusting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a job handed over to where the server points: it is not sent."""
    for name in ("KRB5_CONFIG", "KRB5CCNAME"):
        monkeypatch.setenv(name, desk.environment[name])
    client = Client(ClientConfig(moved, ca_bundle=trusting))
    outcome = client.submit_job(encode_request(JobRequest(partition="norm"), "#!/bin/sh\n", Encoding()))
    client.close()

    assert isinstance(outcome, NotSent), outcome
    assert isinstance(outcome.fault, ConfigurationFault)
    assert services(desk) == [f"HTTP/{HOST}"]
    assert desk.rig.slurm.job_ids() == []


def services(desk: Desk) -> list[str]:
    """Return the services for which the desk's cache has tickets, without the realm, the KDC's own left out."""
    lines = run(["klist", "-c", str(desk.cache)], desk.environment).splitlines()
    names = [line.split()[-1].partition("@")[0] for line in lines if "@" in line and not line.startswith("Default")]
    return [name for name in names if not name.startswith("krbtgt/")]
