"""Times as people write them into partition files."""

from __future__ import annotations

import math
import re

_SLURM = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?", re.ASCII)
_AMOUNT = r"(\d+(?:\.\d+)?)\s*(d|days?|h|hours?|hrs?|m|min|minutes?|s|sec|seconds?)"
_UNITS = re.compile(rf"(?:{_AMOUNT}\s*)+", re.ASCII)
_MINUTES = {"d": 24.0 * 60.0, "h": 60.0, "m": 1.0, "s": 1.0 / 60.0}


def minutes(value: object) -> float | None:
    """Return the minutes that a value stands for, rounded to the nearest; None if it stands for none.

    Understood are numbers of minutes, ``2d12h30m`` and its like, and Slurm's forms with days or with colons: two
    numbers with a colon between them are hours and minutes, as the slurm plugin reads them, not minutes and seconds.
    An infinite number means that there is no limit.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _as_number(value)
    if found is None and isinstance(value, str):
        text = value.strip().lower()
        match = _SLURM.fullmatch(text)
        found = _in_slurms_form(match) if match else _in_units(text)
    if found is None or math.isnan(found) or found < 0:
        return None
    return found if math.isinf(found) else float(math.floor(found + 0.5))


def _as_number(value: float | str) -> float | None:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _in_slurms_form(match: re.Match[str]) -> float:
    hours, minutes_, seconds = (float(part or 0) for part in match.group("first", "second", "third"))
    return float(match["days"] or 0) * _MINUTES["d"] + hours * _MINUTES["h"] + minutes_ + seconds / 60.0


def _in_units(text: str) -> float | None:
    if not _UNITS.fullmatch(text):
        return None
    return sum(float(amount) * _MINUTES[unit[0]] for amount, unit in re.findall(_AMOUNT, text, re.ASCII))
