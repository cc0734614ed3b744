"""One browser for all tests, and a page in it for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.tab import Tab, running_browser
from tests.debian_packages import missing_packages, skip_suite

_HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there is no browser, leave one test of this directory, which is skipped and says why."""
    reason = missing_packages(_HERE)
    if reason is not None:
        skip_suite(_HERE, f"there is no browser: {reason}", config, items)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """The browser, started once."""
    with running_browser(tmp_path_factory.mktemp("pages")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Tab:
    """The browser as a test finds it: a window of a laptop, light, and nothing said yet."""
    browser.look(width=1280)
    browser.complaints()
    browser.requests()
    return browser
