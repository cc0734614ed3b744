"""The API's JSON documents: a job request as bytes, an answer as a value.

Pure. Facts about the API are those of its documentation page (version 0.0.1) unless another source is named.
"""

from __future__ import annotations

from snakemake_executor_plugin_frceapi.wire.answer import LARGE_TOKEN_BYTES, Answer, decode_listing, decode_submission
from snakemake_executor_plugin_frceapi.wire.request import (
    MAX_REQUEST_BYTES,
    Encoding,
    NumberFormat,
    RequestTooLarge,
    encode_request,
    time_limit_text,
)
from snakemake_executor_plugin_frceapi.wire.words import ERRORS, printable, state_from_word

__all__ = [
    "ERRORS",
    "LARGE_TOKEN_BYTES",
    "MAX_REQUEST_BYTES",
    "Answer",
    "Encoding",
    "NumberFormat",
    "RequestTooLarge",
    "decode_listing",
    "decode_submission",
    "encode_request",
    "printable",
    "state_from_word",
    "time_limit_text",
]
