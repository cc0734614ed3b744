"""A headless browser with one page, as a test drives it."""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

_HEIGHT = 800
_PAINTED = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"


class Tab:
    """A page in a headless Chromium.

    Args:
        driver: what drives the browser.
        directory: where pages are written for it.
    """

    def __init__(self, driver: webdriver.Chrome, directory: Path) -> None:
        self._driver = driver
        self._directory = directory
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def look(self, *, width: int, media: str = "screen", scheme: str = "light") -> None:
        """Set the window's width in pixels, screen or print, and light or dark."""
        self._driver.set_window_size(width, _HEIGHT)
        wish = {"name": "prefers-color-scheme", "value": scheme}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [wish]})

    def open(self, page: str) -> float:
        """Open a page and return the seconds of CPU time that its main thread has needed until it was painted."""
        file = self._directory / "page.html"
        file.write_text(page, "utf-8")
        self._driver.get(file.as_uri())
        self._driver.execute_async_script(_PAINTED)
        measured = self._driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(metric["value"] for metric in measured if metric["name"] == "TaskDuration"))

    def ask(self, script: str, *arguments: Any) -> Any:
        """Return what the body of a function in JavaScript returns."""
        return self._driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements that a selector of CSS names."""
        return self._driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return the text of the first element, as it is seen."""
        return self.all(selector)[0].text

    def style(self, selector: str, name: str) -> str:
        """Return how a property of the first element is computed."""
        return self.all(selector)[0].value_of_css_property(name)

    def point_at(self, element: WebElement) -> None:
        """Move the mouse over the middle of an element."""
        ActionChains(self._driver, duration=0).move_to_element(element).perform()

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        ActionChains(self._driver, duration=0).send_keys(*keys).perform()

    def complaints(self) -> list[str]:
        """Return what the console has said since the last call."""
        return [entry["message"] for entry in self._driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        entries = self._driver.get_log("performance")  # type: ignore[no-untyped-call]
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def printed_pages(self) -> int:
        """Return how many sheets the page takes on paper."""
        printed = self._driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
        return len(re.findall(rb"/Type\s*/Page\b", b64decode(printed["data"])))


@contextmanager
def running_browser(directory: Path) -> Iterator[Tab]:
    """Start Debian's Chromium with its driver; nothing is fetched."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    # As root there is no sandbox, and the shared memory of a container is small.
    for option in ("headless", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", f"user-data-dir={directory}/user"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield Tab(driver, directory)
    finally:
        driver.quit()
