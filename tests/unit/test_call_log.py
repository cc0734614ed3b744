"""Tests of what is told of the calls of a run."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.call_log import CallLog
from snakemake_executor_plugin_frceapi.errors import ServiceError, TransientFault
from snakemake_executor_plugin_frceapi.job import (
    Accepted,
    JobState,
    JobStatus,
    Listing,
    NotSent,
    Refused,
    SubmitOutcome,
    Unknown,
)
from snakemake_executor_plugin_frceapi.parcel import Parcel
from tests.carrying import Carrying


def listing(*states: str) -> Listing:
    """Return a listing of jobs in these states."""
    return Listing({str(number): JobStatus(str(number), JobState.RUNNING, word) for number, word in enumerate(states)})


class Service(Carrying):
    """Answers as the test says."""

    def __init__(self, *answers: SubmitOutcome | Listing | ServiceError) -> None:
        self.answers = list(answers)

    def submit_job(self, _: bytes) -> SubmitOutcome:
        """Return the next outcome."""
        outcome = self.answers.pop(0)
        assert not isinstance(outcome, Listing | ServiceError)
        return outcome

    def query_status(self, _: Collection[str] | None = None) -> Listing:
        """Return the next listing."""
        answer = self.answers.pop(0)
        if isinstance(answer, ServiceError):
            raise answer
        assert isinstance(answer, Listing)
        return answer


@pytest.mark.parametrize("is_delivered", [False, True])
@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Accepted("7"), "job 7"),
        (Refused("bad_partition", "there is no such partition"), "refused: there is no such partition"),
        (Unknown("no answer came"), "unknown: no answer came"),
        (NotSent(TransientFault("no connection")), "not sent: no connection"),
    ],
)
def test_tells_what_became_of_a_submission(
    outcome: SubmitOutcome, text: str, tmp_path: Path, *, is_delivered: bool
) -> None:
    """Size, time and outcome stand in one line; the caller gets the outcome."""
    told: list[str] = []

    service = Service(outcome)
    (tmp_path / "journal").touch()
    parcel = Parcel("t", 1, str(tmp_path / "journal"), b"", None, b"1234", None)
    log = CallLog(service, told.append)

    assert (log.deliver(parcel) if is_delivered else log.submit_job(parcel.body)) is outcome
    service.put_down()
    assert re.fullmatch(rf"frceapi: submit_job, 4 bytes, \d+\.\d\d s: {text}", told[0])


def test_tells_of_listings_that_differ() -> None:
    """A run of days asks often and learns little; a call that failed is told each time."""
    told: list[str] = []
    fault = TransientFault("no connection")
    answers: list[Listing | ServiceError] = [
        listing(),
        listing("RUNNING", "PENDING"),
        listing("PENDING", "RUNNING"),
        fault,
        fault,
        listing("RUNNING"),
    ]
    log = CallLog(Service(*answers), told.append)
    for answer in answers:
        if answer is fault:
            with pytest.raises(TransientFault):
                log.query_status()
        else:
            assert log.query_status() is answer

    texts = [line.partition(" s: ")[2] for line in told]
    assert texts == ["no job", "1 RUNNING, 1 PENDING", "no connection", "no connection", "1 RUNNING"]
