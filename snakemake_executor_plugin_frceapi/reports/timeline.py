"""A page with every job of a run, from its submission to its end: one file that needs neither network nor server.

What comes from a workflow stands in the page as escaped text only, and the page forbids every script and style but its
own (Content-Security-Policy, by their hashes).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.reports.figures import by_rule, duration, figures_of, printable
from snakemake_executor_plugin_frceapi.reports.rule_table import rule_table
from snakemake_executor_plugin_frceapi.reports.summary import summary

_ROW_HEIGHTS = ((60, 17.0), (400, 7.0), (1500, 3.0))
"""Up to how many jobs a row has so many pixels."""

_SMALLEST_PAGE = 6000.0
_LABEL_HEIGHT = 14.0
_LABEL_CHARACTERS = 1.2
"""How many characters of a label fit on one percent of the width, on a narrow screen."""

_LEAST_WIDTH = 0.15
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS = [1, 2, 5, 10, 15, 30]
_TICKS = [*_STEPS, *(_MINUTE * step for step in _STEPS), *(_HOUR * step for step in (1, 2, 3, 6, 12))]
_MOST_TICKS = 10

_LEGEND = (
    ("", "queue", "in the queue"),
    ("ahead", "queue", "in the queue, ahead of its inputs"),
    ("again", "queue", "in the queue, tried again"),
    ("", "gate", "at its gate, for its inputs"),
    *((fate.value, "run", f"ran, {fate.value}") for fate in Fate if fate is not Fate.LEFT),
    (Fate.LEFT.value, "run", "left to run on"),
)


@dataclass(frozen=True, slots=True)
class _Span:
    """The time that the page shows, in seconds of the epoch."""

    begin: float
    end: float

    def place(self, seconds: float) -> float:
        """Return where a time stands, in percent of the width."""
        return 100 * (min(max(seconds, self.begin), self.end) - self.begin) / (self.end - self.begin)


def timeline(records: Sequence[Record], title: str, now: float) -> str:
    """Return the page.

    Args:
        records: what became of each submission; at least one.
        title: what the run is called, such as its directory.
        now: the time, in seconds of the epoch.
    """
    span = _span(records, now)
    height = _row_height(len(records))
    begin = datetime.fromtimestamp(span.begin).astimezone()
    charts = "".join(_chart(rule, alike, span, height) for rule, alike in by_rule(records).items())
    body = (
        f"<h1>{_text(title)}</h1>\n<p>{begin:%Y-%m-%d %H:%M:%S %Z}, {duration(span.end - span.begin)}</p>\n"
        f"<p>{_text(summary(records))}</p>\n{_legend()}"
        '<p class="hint"><a href="#rules">By rule</a>. Point at a job, or choose a rule with the Tab key and its jobs '
        "with the arrow keys.</p>\n"
        f'{_axis(span)}{charts}<h2 id="rules">By rule</h2>\n<div class="wide">{rule_table(records)}</div>\n'
        '<div id="detail" role="status"></div>\n'
    )
    return _page(title, body)


def _page(title: str, body: str) -> str:
    style, script = (_part(f"timeline.{kind}") for kind in ("css", "js"))
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


@cache
def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _span(records: Sequence[Record], now: float) -> _Span:
    """From the first time that is known to the last one; jobs that are left go on until now."""
    times = [
        time for record in records for time in (record.submitted, record.started, record.ended) if time is not None
    ]
    times += [now] if not times or any(record.ended is None for record in records) else []
    return _Span(min(times), max(*times, min(times) + 1))


def _row_height(jobs: int) -> float:
    return next((height for most, height in _ROW_HEIGHTS if jobs <= most), max(1.0, _SMALLEST_PAGE / jobs))


def _chart(rule: str, records: Sequence[Record], span: _Span, height: float) -> str:
    """The tries of the jobs of one rule, one row each."""
    count = figures_of(records).jobs
    jobs = ("1 job" if count == 1 else f"{count} jobs") + (f", {len(records)} tries" if len(records) > count else "")
    whole = height * len(records)
    # Without texts a chart may be squeezed, so that it fits on a printed page.
    squeezed = "" if height >= _LABEL_HEIGHT else f' viewBox="0 0 100 {whole:.5g}" preserveAspectRatio="none"'
    rows = "".join(_row(record, span, height * number, height) for number, record in enumerate(records))
    return (
        f'<h2>{_text(rule)} <small>{jobs}</small></h2>\n{_axis(span)}<svg class="jobs" height="{whole:.5g}"{squeezed} '
        f'tabindex="0" role="application" aria-label="{_text(f"{jobs} of {rule}")}" aria-describedby="detail">'
        f"{_grid(span)}{rows}</svg>\n"
    )


def _row(record: Record, span: _Span, top: float, height: float) -> str:
    marks = [record.fate.value, *(["again"] if record.attempt > 1 else ["ahead"] if record.went_ahead else [])]
    bar = height * (0.75 if height > 4 else 1.0)
    parts = [
        f'<rect class="{kind}" x="{begin:.2f}%" y="{top + (height - bar) / 2:.5g}" width="{width:.2f}%" '
        f'height="{bar:.4g}"/>'
        for kind, begin, width in _bars(record, span)
    ]
    label = _label(record, span, top + height / 2) if height >= _LABEL_HEIGHT else ""
    return f'<g class="{" ".join(marks)}"><desc>{_detail(record)}</desc>{"".join(parts)}{label}</g>\n'


def _bars(record: Record, span: _Span) -> Iterator[tuple[str, float, float]]:
    """Yield the parts of a job's life that are known: kind, begin and width in percent."""
    over = span.end if record.ended is None else record.ended
    phases = [
        ("queue", record.submitted, over if record.started is None else record.started),
        ("gate", record.started, record.begun),
        ("run", record.begun, over),
    ]
    for kind, begin, end in phases:
        if begin is not None and end is not None and (end > begin or kind == "run"):
            left = span.place(begin)
            yield kind, left, max(span.place(end) - left, _LEAST_WIDTH)


def _label(record: Record, span: _Span, middle: float) -> str:
    """What a job is, beside its bar or on it: in words, because colours are not for everybody."""
    marks = f", attempt {record.attempt}" if record.attempt > 1 else ""
    marks += f", {record.fate.value}" if record.fate is not Fate.SUCCEEDED else ""
    known = [time for time in (record.submitted, record.started) if time is not None]
    begin, end = span.place(min(known, default=span.begin)), span.place(record.ended or span.end)
    right = (100 - end, f'x="{end:.2f}%" dx="5"')
    left = (begin, f'x="{begin:.2f}%" dx="-5" text-anchor="end"')
    within = (end - begin, f'x="{begin:.2f}%" dx="5"')
    places = [(int(width * _LABEL_CHARACTERS) - len(marks), where) for width, where in (right, left, within)]
    room, where = next((place for place in places if len(record.wildcards) <= place[0]), max(places))
    name = record.wildcards if len(record.wildcards) <= room else f"{record.wildcards[: room - 1]}…"
    text = f"{name}{marks}".removeprefix(", ")
    return f'<text {where} y="{middle:.5g}">{_text(text)}</text>' if text else ""


def _detail(record: Record) -> str:
    """What is known of a job, in lines of escaped text."""
    request, usage = record.request, record.usage
    ahead = "; it went ahead of its inputs" if record.went_ahead else ""
    waits = f"in the queue {duration(record.queue_seconds)}"
    waits += f", at its gate {duration(record.gate_seconds)}" if record.gate_seconds else ""
    cpu = "" if record.cpu_efficiency is None else f", {record.cpu_efficiency:.0%} busy"
    held = "" if usage.peak_mb is None else f", {usage.peak_mb} MB held ({usage.measured_by})"
    return "\n".join(
        _text(line)
        for line in (
            " ".join(filter(None, [record.rule, record.wildcards])),
            f"job {record.external_jobid or 'without a number'}, attempt {record.attempt}: {record.fate.value}{ahead}",
            f"{waits}, ran {duration(record.run_seconds)}, on {usage.node or 'an unknown node'} ({request.partition})",
            f"{request.cpus} CPUs asked for{cpu}; {request.memory_mb or 'no'} MB asked for{held}",
            f"log {record.log}" if record.log else "its log was removed",
        )
    )


def _ticks(span: _Span) -> Iterator[tuple[float, str]]:
    """Yield the places of round times since the begin, in percent, and their texts."""
    seconds = span.end - span.begin
    step = next(
        (tick for tick in _TICKS if seconds / tick <= _MOST_TICKS), _DAY * (1 + int(seconds / _DAY / _MOST_TICKS))
    )
    for number in range(int(seconds / step) + 1):
        yield span.place(span.begin + number * step), duration(number * step).replace(".0 s", " s")


def _axis(span: _Span) -> str:
    """The times: on a screen those at the top stay in sight, on paper each chart has its own."""
    texts = "".join(f'<text x="{place:.2f}%" y="14">{text}</text>' for place, text in _ticks(span) if place < 95)
    return f'<svg class="axis" height="20" role="img" aria-label="time since the first submission">{texts}</svg>\n'


def _grid(span: _Span) -> str:
    lines = (f'<line class="grid" x1="{place:.2f}%" x2="{place:.2f}%" y1="0" y2="100%"/>' for place, _ in _ticks(span))
    return "".join(lines)


def _legend() -> str:
    entries = (
        f'<li><svg class="{mark}" aria-hidden="true"><rect class="{kind}" width="100%" height="100%"/></svg>{text}</li>'
        for mark, kind, text in _LEGEND
    )
    return f'<ul class="legend">{"".join(entries)}</ul>\n'


def _text(text: str) -> str:
    return escape(printable(text))
