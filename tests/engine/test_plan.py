"""What a run reports of a case that it could not run by itself before its time ran out."""

from __future__ import annotations

import pytest

from conformance.engine.plan import as_not_run_alone
from conformance.model.rules import Outcome
from conformance.model.sentence import Sentence
from tests.reporting.html_parts import result


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.WARN, Outcome.NOTE])
def test_a_provisional_finding_ends_as_an_error(outcome):
    late = result(outcome, judged=True, message=Sentence("it was late"))
    settled = as_not_run_alone(late)
    assert (settled.outcome, settled.code, settled.judged) == (
        Outcome.ERROR,
        "not-run-alone",
        False,
    )
    assert str(settled.message).endswith(str(late.message))


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.SKIP, Outcome.ERROR])
def test_another_provisional_result_is_settled_as_it_is(outcome):
    assert as_not_run_alone(result(outcome)) == result(outcome)
