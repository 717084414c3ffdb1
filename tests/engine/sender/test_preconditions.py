"""Why a sender's case is not judged."""

from __future__ import annotations

import pytest

from conformance.engine.sender.preconditions import skip_reason
from conformance.options.sender import SenderOptions
from conformance.protocol.dialect import Secret
from conformance.scenario.dialects import load
from conformance.scenario.load import built_in
from tests.engine.hand_made import PROFILE


def reason(rule: str, name: str | None = None, **settings: object) -> str:
    """Why a case of a built-in rule is not judged; empty when it is."""
    options = SenderOptions(
        api_url="http://localhost:1/v1", secret=Secret(b"k"), dialect=load("guide"), **settings
    )
    scenario = next(each for each in built_in("sender") if each.rule.id == rule)
    case = next(each for each in scenario.cases if each.name == name)
    skip = skip_reason(scenario, case, options, PROFILE, left=1000.0)
    return str(skip.reason) if skip is not None else ""


@pytest.mark.parametrize("public_url", [None, "https://tunnel.test/hooks"])
def test_an_endpoint_on_a_port_of_its_own_is_not_judged_behind_a_tunnel(public_url):
    message = reason("sender.https.untrusted", public_url=public_url)
    assert ("--public-url" in message) is (public_url is not None)


@pytest.mark.parametrize("rule", ["sender.wire.faithful", "sender.retry.count"])
def test_what_is_drawn_is_left_out_where_fuzzing_is_turned_off(rule):
    assert "--fuzz 0" in reason(rule, "drawn", fuzz=0)
    assert "--fuzz 0" not in reason(rule, "drawn")
