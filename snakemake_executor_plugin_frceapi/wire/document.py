"""The JSON documents that the API answers with, read strictly.

No repeated keys, no NaN, nothing but text of other kinds around the one object; both spellings that the API's page has
for its keys and values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

_DOCUMENT_START = re.compile(r"^[ \t]*\{", re.MULTILINE)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_refuse)
"""Objects become tuples of pairs: repeated keys stay visible, and no Python code runs for each row."""


_SMALL_BYTES = 64 * 1024
_LEAST_BYTES_A_SIGN = 5


def parse_document(body: bytes) -> dict[str, Any] | None:
    """Return the one JSON object of a body, or None; lines before and after it are passed over."""
    if _is_dense(body):
        return None
    try:
        text = body.decode("utf-8-sig")
        start = _DOCUMENT_START.search(text)
        if start is None:
            return None
        pairs, end = _DECODER.raw_decode(text, start.end() - 1)
    except (ValueError, RecursionError):
        return None
    clean_end = not text[end:].partition("\n")[0].strip() and not _DOCUMENT_START.search(text, end)
    return unique_fields(pairs) if clean_end else None


def _is_dense(body: bytes) -> bool:
    """Whether a large body is mostly brackets and commas: no listing is, and each would cost many times its size."""
    signs = body.count(b"[") + body.count(b"{") + body.count(b",")
    return len(body) > _SMALL_BYTES and signs * _LEAST_BYTES_A_SIGN > len(body)


def unique_fields(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any] | None:
    """Return an object's pairs as a dictionary, or None when a key is repeated."""
    pairs = tuple(pairs)
    mapping = dict(pairs)
    return mapping if len(mapping) == len(pairs) else None


def field_of(document: Mapping[str, Any], key: str) -> Any:
    """Return a field in whichever of the two spellings the page has; None when neither or both are there."""
    found = [document[name] for name in (key, key.capitalize()) if name in document]
    return found[0] if len(found) == 1 else None


def verdict_of(document: Mapping[str, Any] | None) -> bool | None:
    """Return whether the service calls the call a success, or None when it does not say."""
    word = None if document is None else field_of(document, "status")
    if not isinstance(word, str):
        return None
    return {"call_success": True, "call_failed": False, "call_failure": False}.get(word.lower().replace(" ", "_"))


def reason_of(document: Mapping[str, Any] | None) -> str:
    """Return the text that goes with a failure, or nothing."""
    reason = None if document is None else field_of(document, "reason")
    return reason if isinstance(reason, str) else ""
