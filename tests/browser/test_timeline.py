"""The timeline in a real browser: what is seen, pointed at, reached with keys and printed."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import pytest
from selenium.webdriver.common.keys import Keys

from snakemake_executor_plugin_frceapi.reports.timeline import timeline
from tests.browser.runs import BEGIN, many_jobs, ten_jobs
from tests.browser.tab import Tab

RULES = 7
IS_IN_SIGHT = """
const job = arguments[0].getBoundingClientRect();
const above = document.querySelector(".axis").getBoundingClientRect().bottom;
return job.top >= above && job.bottom <= document.getElementById("detail").getBoundingClientRect().top;
"""
LABELS = """
return [...document.querySelectorAll(".jobs text")].map((label) => {
  const place = label.getBoundingClientRect();
  return [place.left, place.top, place.right, place.bottom, parseFloat(getComputedStyle(label).fontSize)];
});
"""


@cache
def page(jobs: int) -> str:
    """The page of a run with so many jobs."""
    records = ten_jobs() if jobs == 10 else many_jobs(jobs)
    return timeline(records, "/scratch/project/analysis", BEGIN + 700)


def luminance(colour: str) -> float:
    """How bright a colour is, as WCAG 2.2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """How well two colours are told apart, from 1 to 21, as WCAG 2.2 defines it."""
    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("jobs", [10, 5000])
def test_needs_nothing_and_complains_of_nothing(tab: Tab, jobs: int) -> None:
    """The browser asks for that one file and for nothing else, and its console stays empty."""
    tab.open(page(jobs))
    asked = tab.requests()

    assert len(asked) == 1
    assert asked[0].startswith("file:///")
    assert tab.complaints() == []
    assert len(tab.all(".jobs g")) == jobs


def test_paints_5000_jobs_in_a_second(tab: Tab) -> None:
    """That is CPU time: how long it takes on a machine that is busy is no matter of the page."""
    assert 0.05 < tab.open(page(5000)) < 1


@pytest.mark.parametrize("width", [800, 1280, 1920])
def test_shows_whole_labels_of_few_jobs(tab: Tab, width: int) -> None:
    """Each stands within the window, in a size that can be read, and in a row of its own."""
    tab.look(width=width)
    tab.open(page(10))
    labels = sorted(tab.ask(LABELS), key=lambda place: place[1])

    assert len(labels) == 10
    assert [place for place in labels if place[0] < 0 or place[2] > width] == []
    assert min(size for *_, size in labels) >= 11
    assert [upper for upper, lower in pairwise(labels) if upper[3] > lower[1]] == []


@pytest.mark.parametrize("selector", ["body", "p", ".axis text", ".jobs text", "#detail"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out(tab: Tab, scheme: str, selector: str) -> None:
    """In light and in dark each text has the contrast that WCAG 2.2 asks for."""
    tab.look(width=1280, scheme=scheme)
    tab.open(page(10))
    ground = tab.style("#detail" if selector == "#detail" else "body", "background-color")
    text = tab.style(selector, "fill" if "text" in selector else "color")

    assert (luminance(ground) > 0.5) == (scheme == "light")
    assert contrast(text, ground) >= 4.5


def test_tells_of_job_that_is_pointed_at(tab: Tab) -> None:
    """Its wildcards, number, node, memory and log are shown, and it alone is marked."""
    tab.open(page(10))
    assert tab.text("#detail") == ""
    tab.point_at(tab.all(".jobs g rect.run")[2])

    shown = tab.text("#detail").splitlines()
    assert shown[:2] == ["trim_reads sample=C", "job 4000003, attempt 1: failed"]
    assert "on cn003 (norm)" in shown[2]
    assert shown[4].endswith("/frceapi_logs/rule_trim_reads/4000003.log")
    assert [job.get_attribute("class") for job in tab.all(".current")] == ["failed current"]


def test_jobs_are_reached_with_keys(tab: Tab) -> None:
    """Tab goes from rule to rule, the arrows from job to job; neither leaves the chart at its ends."""
    tab.open(page(10))
    tab.press(Keys.TAB)
    assert tab.text("#detail") == ""
    told = []
    for key in (Keys.TAB, Keys.DOWN, Keys.END, Keys.DOWN, Keys.UP, Keys.PAGE_UP, Keys.HOME, Keys.TAB):
        tab.press(key)
        told.append(tab.text("#detail").splitlines()[1])

    numbers = [re.findall(r"\d+", line)[0] for line in told]
    assert [int(number) - 4_000_000 for number in numbers] == [1, 2, 4, 4, 3, 1, 1, 5]


def test_job_that_keys_reach_is_in_sight(tab: Tab) -> None:
    """Among 5,000 jobs the page scrolls to the one that is told of, and neither axis nor text covers it."""
    tab.open(page(5000))
    tab.press(Keys.TAB, Keys.TAB, Keys.TAB)
    for key in (Keys.END, Keys.HOME, Keys.PAGE_DOWN):
        tab.press(key)
        (current,) = tab.all(".current")
        assert tab.ask(IS_IN_SIGHT, current), key
        assert tab.text("#detail").startswith("align ")


@pytest.mark.parametrize(("jobs", "most"), [(10, 2), (5000, RULES // 2 + 2)])
def test_prints_on_few_sheets(tab: Tab, jobs: int, most: int) -> None:
    """Paper is white, each chart has its times there, and what only a mouse can use is left out."""
    tab.look(width=1280, media="print", scheme="dark")
    tab.open(page(jobs))

    assert luminance(tab.style("body", "background-color")) == 1
    assert [tab.style(hidden, "display") for hidden in ("#detail", ".hint")] == ["none", "none"]
    assert sum(axis.is_displayed() for axis in tab.all(".axis")) == len(tab.all(".jobs"))
    assert 1 <= tab.printed_pages() <= most
