"""The test cluster, started once for all tests, and a desk at it for each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.gateway import SlurmGateway
from tests.cluster.desk import Desk
from tests.cluster.rig import Rig, running_rig
from tests.cluster.system import why_not
from tests.cluster.web import HOST, Site, Web
from tests.debian_packages import skip_suite


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where the test cluster cannot run, leave one test of this directory, which is skipped and says why."""
    reason = why_not()
    if reason is not None:
        skip_suite(Path(__file__).parent, f"the test cluster cannot run: {reason}", config, items)


_NOBODY = "http://127.0.0.1:9"

StartWeb = Callable[..., Web]


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """The running test cluster."""
    with running_rig() as running:
        yield running


@pytest.fixture
def desk(rig: Rig, tmp_path: Path) -> Iterator[Desk]:
    """A desk with a ticket; its runs and jobs end with the test."""
    made = Desk(tmp_path, rig)
    made.kinit()
    yield made
    made.end_runs()
    rig.slurm.cancel_all()


@pytest.fixture
def forgetful(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmGateway]:
    """A gateway to the same Slurm whose faults a test can set; the desk's runs use it."""
    for name, value in desk.rig.slurm.environment.items():
        monkeypatch.setenv(name, value)
    gateway = SlurmGateway(SandboxConfig(directory=desk.directory.parent), None)
    gateway.start()
    desk.environment["SNAKEMAKE_FRCEAPI_URL"] = gateway.url
    yield gateway
    gateway.stop()


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority."""
    return trustme.CA()


@pytest.fixture
def trusting(desk: Desk, authority: trustme.CA, tmp_path: Path) -> Path:
    """The bundle with that authority, which the runs of the desk trust."""
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    desk.environment["REQUESTS_CA_BUNDLE"] = str(bundle)
    return bundle


@pytest.fixture
def start_web(desk: Desk, tmp_path: Path) -> Iterator[StartWeb]:
    """Start an Apache with a certificate and with directives of its own, to which the desk's runs go."""
    with ExitStack() as stack:

        def start(leaf: trustme.LeafCert, directives: str = "") -> Web:
            certificate = tmp_path / "server.pem"
            leaf.private_key_and_cert_chain_pem.write_to_path(certificate)
            keytab = desk.rig.kdc.add_keytab(f"HTTP/{HOST}")
            place = Path(tempfile.mkdtemp(dir=desk.rig.directory))
            place.chmod(0o711)
            site = Site(backend=_NOBODY, keytab=keytab, certificate=certificate, directives=directives)
            web = Web(place, site, desk.rig.kdc.environment)
            stack.callback(web.stop)
            desk.environment["SNAKEMAKE_FRCEAPI_URL"] = web.url
            return web

        yield start
