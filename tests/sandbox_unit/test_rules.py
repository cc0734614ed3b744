"""The rules of submit_job, without a server."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.sandbox.rules import (
    SUBMISSION_FAILED,
    Refused,
    Submission,
    parse_body,
    read_submission,
    strip_directives,
)

JSON = "application/json"
SCRIPT = "#!/bin/bash\ntrue\n"


def read(**keys: Any) -> Submission:
    """A submission with a script and a partition unless `keys` say otherwise; None leaves a key out."""
    document = {"script-body": SCRIPT, "partition": "norm"} | {key.replace("_", "-"): keys[key] for key in keys}
    return read_submission({key: value for key, value in document.items() if value is not None}, {"norm"})


def test_read_submission_takes_every_documented_key() -> None:
    """All keys together become the values that they mean."""
    submission = read(
        ntasks=4,
        ntasks_per_core="2",
        ntasks_per_node=2,
        cpus_per_task="3",
        mem_per_node="2G",
        dependency="afterok:1",
        timelimit="01-02:03:04",
    )

    assert submission == Submission(
        script=SCRIPT,
        partition="norm",
        ntasks=4,
        ntasks_per_core=2,
        ntasks_per_node=2,
        cpus_per_task=3,
        mem_mb_per_node=2048,
        dependency="afterok:1",
        time_limit_s=93_784,
    )
    assert (submission.tasks, submission.nodes, submission.cpus) == (4, 2, 12)


def test_read_submission_gives_one_task_without_numbers() -> None:
    """A request without numbers is one task on one CPU."""
    submission = read()

    assert (submission.tasks, submission.nodes, submission.cpus) == (1, 1, 1)


def test_read_submission_notes_unknown_keys() -> None:
    """Keys that the API does not know are ignored, and can be seen."""
    assert read(job_name="x", nodes=2).ignored_keys == ("job-name", "nodes")


@pytest.mark.parametrize(
    ("value", "mem_mb"),
    [(100, 100), ("100", 100), ("100M", 100), ("1g", 1024), ("2T", 2 * 1024**2), ("1K", 1), ("1025K", 2), (0, 0)],
)
def test_read_submission_reads_memory(value: object, mem_mb: int) -> None:
    """Memory is in MB without a unit and rounded up."""
    assert read(mem_per_cpu=value).mem_mb_per_cpu == mem_mb


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"partition": None}, "no_partition_given"),
        ({"partition": ""}, "no_partition_given"),
        ({"partition": "gpu"}, "bad_partition"),
        ({"partition": 3}, "bad_partition"),
        ({"ntasks": 0}, "bad_number_of_tasks"),
        ({"ntasks": -1}, "bad_number_of_tasks"),
        ({"ntasks": "two"}, "bad_number_of_tasks"),
        ({"ntasks": True}, "bad_number_of_tasks"),
        ({"ntasks": 1.0}, "bad_number_of_tasks"),
        ({"ntasks": "\u0661"}, "bad_number_of_tasks"),
        ({"ntasks_per_core": 3}, "bad_number_of_tasks"),
        ({"ntasks_per_node": ""}, "bad_number_of_tasks"),
        ({"mem_per_cpu": 1, "mem_per_node": 1}, "conflicting_mem_specifications"),
        ({"cpus_per_task": 0}, SUBMISSION_FAILED),
        ({"cpus_per_task": [1]}, SUBMISSION_FAILED),
        ({"mem_per_node": "1GB"}, SUBMISSION_FAILED),
        ({"mem_per_node": -1}, SUBMISSION_FAILED),
        ({"mem_per_node": 1.5}, SUBMISSION_FAILED),
        ({"mem_per_cpu": True}, SUBMISSION_FAILED),
        ({"dependency": 7}, SUBMISSION_FAILED),
        ({"timelimit": "60"}, SUBMISSION_FAILED),
        ({"timelimit": 60}, SUBMISSION_FAILED),
        ({"timelimit": "1:00:00"}, SUBMISSION_FAILED),
        ({"timelimit": "0-01:00:00"}, SUBMISSION_FAILED),
        ({"timelimit": "00-24:00:00"}, SUBMISSION_FAILED),
        ({"timelimit": "00-00:60:00"}, SUBMISSION_FAILED),
        ({"timelimit": "00-00:00:00\n"}, SUBMISSION_FAILED),
        ({"script_body": None}, SUBMISSION_FAILED),
        ({"script_body": ""}, SUBMISSION_FAILED),
        ({"script_body": "true\n"}, SUBMISSION_FAILED),
        ({"script_body": "#! \ntrue\n"}, SUBMISSION_FAILED),
        ({"script_body": "#!/bin/sh\n\0"}, SUBMISSION_FAILED),
        ({"script_body": ["#!/bin/sh"]}, SUBMISSION_FAILED),
    ],
)
def test_read_submission_refuses(keys: dict[str, object], code: str) -> None:
    """Each mistake is refused with its documented reason."""
    with pytest.raises(Refused) as caught:
        read(**keys)

    assert caught.value.code == code


def test_strip_directives_takes_out_whole_lines() -> None:
    """Lines that begin with #SBATCH go, everything else stays as it is."""
    script = "#!/bin/bash\n#SBATCH --mem=1\necho '#SBATCH stays'\r\n#SBATCH\n ##SBATCH\nend"

    assert strip_directives(script) == "#!/bin/bash\necho '#SBATCH stays'\r\n ##SBATCH\nend"


@given(st.text().map(lambda text: text.replace("#SBATCH", "")))
def test_strip_directives_changes_nothing_else(text: str) -> None:
    """A script without directives is not changed, whatever line ends it has."""
    assert strip_directives(text) == text


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{" + b" " * 4096, JSON, "postdata_too_big"),
        (b"{}", None, "postdata_parse_error"),
        (b"{}", "text/plain", "postdata_parse_error"),
        (b"{", JSON, "postdata_parse_error"),
        (b"\xff", JSON, "postdata_parse_error"),
        (b"[]", JSON, "postdata_parse_error"),
        (b"", JSON, "postdata_parse_error"),
    ],
)
def test_parse_body_refuses(body: bytes, content_type: str | None, code: str) -> None:
    """What is too big or no JSON object is refused."""
    with pytest.raises(Refused) as caught:
        parse_body(body, content_type, 4096)

    assert caught.value.code == code


def test_parse_body_takes_exactly_the_limit() -> None:
    """A body of 4096 bytes is accepted, with any parameters of the media type."""
    body = json.dumps({"a": "x" * 4086}).encode()

    assert parse_body(body.ljust(4096), "Application/JSON; charset=utf-8", 4096) == {"a": "x" * 4086}


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())))
def test_read_submission_either_reads_or_refuses(document: dict[str, object]) -> None:
    """No document makes it fail in another way."""
    with contextlib.suppress(Refused):
        assert read_submission({"partition": "norm", **document}, {"norm"}).script.startswith("#!")
