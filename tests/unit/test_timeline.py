"""Tests of the timeline: the document that a browser gets, read back as a browser reads it."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.job import NOT_MEASURED, Usage
from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.reports.figures import printable
from snakemake_executor_plugin_frceapi.reports.timeline import timeline
from tests.records import record

NOW = 2000.0
NEVER_BEGAN: dict[str, Any] = {"started": None, "begun": None, "cpu_seconds": None, "usage": NOT_MEASURED}
GATED: dict[str, Any] = {"went_ahead": True, "begun": 1012.0}


@dataclass
class Page(HTMLParser):
    """A page as it is read: its tags in their order, and the text of each.

    Attributes:
        tags: name and attributes of each tag.
        texts: name of a tag and the text in it, for each tag that holds text.
    """

    text: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - every tag ends alike
        """Let what follows be no text of that tag."""
        self.texts.append(("", ""))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self.texts:
            tag, text = self.texts[-1]
            self.texts[-1] = (tag, text + data)

    @property
    def skeleton(self) -> list[tuple[str, list[str]]]:
        """The tags and the names of their attributes."""
        return [(tag, sorted(attributes)) for tag, attributes in self.tags]

    def all_texts(self, tag: str) -> list[str]:
        """The texts of all tags with a name."""
        return [text for name, text in self.texts if name == tag]

    @property
    def bars(self) -> list[tuple[str, float, float]]:
        """Kind, begin and end in percent of each bar of the jobs."""
        found = [attributes for tag, attributes in self.tags if tag == "rect" and "x" in attributes]
        places = [(bar["class"], float(bar["x"].strip("%")), float(bar["width"].strip("%"))) for bar in found]
        return [(kind, begin, round(begin + width, 2)) for kind, begin, width in places]

    @property
    def rows(self) -> list[str]:
        """The classes of each job."""
        return [attributes["class"] for tag, attributes in self.tags if tag == "g"]


def page(*records: Record, title: str = "work") -> Page:
    """The page of some jobs."""
    return Page(timeline(records, title, NOW))


@pytest.mark.parametrize(
    ("changes", "bars"),
    [
        ({}, [("queue", 0.0, 50.0), ("run", 50.0, 75.0)]),
        (GATED, [("queue", 0.0, 50.0), ("gate", 50.0, 60.0), ("run", 60.0, 75.0)]),
        ({**NEVER_BEGAN, "fate": Fate.CANCELLED}, [("queue", 0.0, 75.0)]),
        ({"submitted": None}, [("run", 50.0, 75.0)]),
        ({"ended": 1010.0}, [("queue", 0.0, 50.0), ("run", 50.0, 50.15)]),
        ({**NEVER_BEGAN, "submitted": None}, []),
    ],
    ids=["plain", "gated", "cancelled in the queue", "of an earlier run", "very short", "nothing known"],
)
def test_draws_each_part_of_a_life_to_scale(changes: dict[str, Any], bars: list[tuple[str, float, float]]) -> None:
    """The page goes from the first submission, at 1000 s, to the last end, at 1020 s; what is short is seen as well."""
    frame = record("frame", request=record().request, submitted=1000.0, started=1000.0, begun=1000.0, ended=1020.0)

    assert page(frame, record(**changes)).bars == [("run", 0.0, 100.0), *bars]


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({}, "succeeded"),
        ({"fate": Fate.FAILED}, "failed"),
        ({"attempt": 2}, "succeeded again"),
        ({"went_ahead": True}, "succeeded ahead"),
        ({"fate": Fate.LEFT, "ended": None}, "left"),
    ],
)
def test_marks_outcome_retry_and_head_start(changes: dict[str, Any], marks: str) -> None:
    """They are told apart by colour, and each colour stands in the legend."""
    found = page(record(**changes))
    legend = {attributes.get("class", "") for tag, attributes in found.tags if tag == "svg"}

    assert found.rows == [marks]
    assert legend >= set(marks.split()) - {"succeeded"} | {"succeeded"}


def test_goes_on_until_now_for_jobs_that_are_left() -> None:
    """A job without an end reaches the right border."""
    assert page(record(fate=Fate.LEFT, ended=None)).bars == [("queue", 0.0, 1.0), ("run", 1.0, 100.0)]


def test_tells_everything_about_a_job() -> None:
    """What pointing at a job shows: wildcards, number, attempt, waits, node, CPUs, memory and log."""
    (shown,) = page(record(**GATED)).all_texts("desc")

    assert shown.splitlines() == [
        "map sample=A",
        "job 101, attempt 1: succeeded; it went ahead of its inputs",
        "in the queue 10 s, at its gate 2.0 s, ran 3.0 s, on cn1 (norm)",
        "4 CPUs asked for, 42% busy; 1000 MB asked for, 300 MB held (samples)",
        "log /logs/101.log",
    ]


def test_tells_what_is_not_known_as_unknown() -> None:
    """A job that was never seen on a node has no figures."""
    (shown,) = page(record(external_jobid=None, log="", **NEVER_BEGAN)).all_texts("desc")

    assert shown.splitlines()[1:] == [
        "job without a number, attempt 1: succeeded",
        "in the queue unknown, ran unknown, on an unknown node (norm)",
        "4 CPUs asked for; 1000 MB asked for",
        "its log was removed",
    ]


def test_has_a_chart_and_a_row_of_figures_for_each_rule() -> None:
    """Rules stand in the order in which they come, with waits and efficiency below."""
    found = page(record("a", rule="map"), record("b", rule="call", fate=Fate.FAILED), record("c", rule="map"))
    cells = found.all_texts("td")

    assert [text.strip() for text in found.all_texts("h2")] == ["map", "call", "By rule"]
    assert found.all_texts("small") == ["2 jobs", "1 job"]
    assert cells[:13] == ["map", "2", "2", "0", "0", "0", "0", "10 s", "10 s", "5.0 s", "25%", "30%", "0.01"]
    assert cells[14:18] == ["call", "1", "0", "1"]


def test_counts_a_job_that_was_tried_again_once() -> None:
    """As in the line above the charts and in the table below them; each try has its row."""
    found = page(record("a", fate=Fate.FAILED), record("a", attempt=2), record("b"))

    assert found.all_texts("small") == ["2 jobs, 3 tries"]
    assert len(found.rows) == 3


@pytest.mark.parametrize(("jobs", "has_labels"), [(10, True), (60, True), (61, False), (5000, False)])
def test_labels_jobs_where_there_is_room(jobs: int, *, has_labels: bool) -> None:
    """Few jobs have their wildcards beside them; of many, each still has a row of its own."""
    found = page(*(record(str(number), external_jobid=str(number)) for number in range(jobs)))
    charts = [attributes for tag, attributes in found.tags if attributes.get("class") == "jobs"]

    assert ("sample=A" in found.all_texts("text")) == has_labels
    assert len(found.rows) == jobs
    assert jobs <= float(charts[0]["height"]) <= 10_000


@pytest.mark.parametrize(
    ("begin", "end", "place"),
    [
        (1000.0, 1010.0, ("10.00%", "start")),
        (1090.0, 1100.0, ("90.00%", "end")),
        (1002.0, 1099.0, ("2.00%", "start")),
        (1015.0, 1090.0, ("15.00%", "start")),
    ],
    ids=["right", "left", "on it", "on it rather than cut"],
)
def test_label_stands_where_there_is_room(begin: float, end: float, place: tuple[str, str]) -> None:
    """Right of the bar, else left of it, else on it."""
    frame = record("frame", wildcards="", submitted=1000.0, started=1000.0, begun=1000.0, ended=1100.0)
    times: dict[str, Any] = {"submitted": begin, "started": begin, "begun": begin, "ended": end}
    found = page(frame, record(wildcards="sample=patient-017", fate=Fate.FAILED, **times))
    (label,) = (attributes for tag, attributes in found.tags if tag == "text" and "dx" in attributes)

    assert (label["x"], label.get("text-anchor", "start")) == place
    assert "sample=patient-017, failed" in found.all_texts("text")


def test_label_is_cut_before_what_became_of_the_job() -> None:
    """Wildcards are shown whole when one points at the job; that it failed is seen at once."""
    found = page(record(wildcards="sample=" + "A" * 200, fate=Fate.FAILED))
    (label,) = (text for text in found.all_texts("text") if "sample" in text)

    assert re.fullmatch("sample=A+…, failed", label)
    assert len(label) <= 120


@given(
    st.text(),
    st.text(),
    st.text(min_size=1),
    st.sampled_from(["</script>", "</desc></svg>", "<img src=x onerror=alert(1)>", "]]>", "&lt;", "' onfocus='", '"']),
)
def test_lets_nothing_of_a_workflow_out_of_its_text(rule: str, wildcards: str, path: str, hostile: str) -> None:
    """Whatever names, wildcards, nodes and paths hold, the page has the tags of a harmless one and shows it as text."""
    rule, wildcards, path = rule + hostile, hostile + wildcards, path + hostile
    harmless = page(record())
    odd = record(rule=rule, members=(rule,), wildcards=wildcards, log=path, usage=Usage(node=path))
    found = page(odd, title=path)

    assert found.skeleton == harmless.skeleton
    assert found.all_texts("h1") == [printable(path)]
    assert printable(wildcards) in found.all_texts("desc")[0]
    assert found.all_texts("script") == harmless.all_texts("script")


def test_forbids_every_script_and_style_but_its_own() -> None:
    """The page loads nothing, and a browser runs what the hashes stand for and nothing else."""
    found = page(record())
    policy = next(attributes["content"] for tag, attributes in found.tags if "http-equiv" in attributes)
    hashes = {
        tag: b64encode(sha256(text.encode()).digest()).decode()
        for tag, text in found.texts
        if tag in {"style", "script"}
    }
    links = [value for _, attributes in found.tags for name, value in attributes.items() if name in {"href", "src"}]

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'"
    )
    assert links == ["#rules"]
    assert not any(name == "style" or name.startswith("on") for _, attributes in found.tags for name in attributes)


@given(st.floats(0.0, 1e8))
def test_has_a_readable_axis_for_any_length(seconds: float) -> None:
    """There are at most eleven marks, and one at the begin."""
    found = page(record(submitted=1000.0, started=1000.0, begun=1000.0, ended=1000.0 + seconds))
    marks = [attributes for tag, attributes in found.tags if attributes.get("class") == "grid"]

    assert 1 <= len(marks) <= 11
    assert marks[0]["x1"] == "0.00%"
