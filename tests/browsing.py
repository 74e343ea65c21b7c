"""A page in a real browser, and what it asked for and complained of."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """Chromium without a screen, in a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-dev-shm-usage", "--window-size=1500,950", f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def complaints(driver: webdriver.Chrome) -> list[str]:
    """Errors in the console since the last call."""
    return [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"]


def requests(driver: webdriver.Chrome) -> list[str]:
    """Addresses that the pages asked for since the last call, but for what they or the
    browser hold themselves."""
    events = (json.loads(e["message"])["message"] for e in driver.get_log("performance"))
    asked = (e["params"]["request"]["url"] for e in events
             if e["method"] == "Network.requestWillBeSent")  # fmt: skip
    return [
        url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:", "chrome:"))
    ]
