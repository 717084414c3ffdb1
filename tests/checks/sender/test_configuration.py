"""Named checks of what List and Test say: each finds its fault, and leaves a right answer alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.checks.registry import CHECKS
from conformance.checks.sender.configuration_checks import distinguishes_failures
from conformance.model.exchange import Fault
from conformance.model.rules import Finding, Level, Unjudged
from conformance.protocol.dialect import Secret
from conformance.protocol.signing import Signer
from tests.engine.hand_made import API, PROFILE, SECRET, broken, called, step, told


def check(name, seen, profile=PROFILE):
    return broken(CHECKS["sender"][name].judge(seen, profile, Level.MUST))


def finding(name, seen, profile=PROFILE):
    """What the check's one finding says."""
    (found,) = check(name, seen, profile)
    assert isinstance(found, Finding)
    assert found.exchanges
    return told([found])[0]


def unjudged(name, seen, profile=PROFILE):
    (found,) = check(name, seen, profile)
    assert isinstance(found, Unjudged)
    return told([found])[0]


SETTINGS = {
    "URL": "http://mock/h/1", "Secret": "(secret)", "Enabled": True, "Timeout": 7, "RetryCount": 4,
    "MessageTypes": ["1", "49"], "IncludeSelfMessage": False,
}  # fmt: skip


def listed(entry, *, changes=None, name="Update"):
    """A List that shows `entry`, after Update if there are `changes`."""
    updates = [] if changes is None else [{"call": {name: changes}}]
    entries = entry if isinstance(entry, list) else [entry]
    index = len(updates)
    calls = [called("Config", {}, SETTINGS), called("List", {"data": entries}, step=index)]
    return step(*calls, steps=[*updates, {"call": "List"}], index=index)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(SETTINGS | {"ID": 3}, id="as the guide writes them"),
        pytest.param({name.lower(): value for name, value in SETTINGS.items()}, id="lower case"),
        pytest.param(SETTINGS | {"MessageTypes": [49, 1]}, id="types as numbers, in another order"),
        pytest.param(SETTINGS | {"MessageTypes": "49, 1"}, id="types in one text"),
        pytest.param(
            SETTINGS | {"Enabled": 1, "IncludeSelfMessage": 0}, id="as a database has them"
        ),
    ],
)
def test_a_configuration_that_is_listed_as_it_was_created_is_right(entry):
    assert check("listed", listed(entry)) == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        pytest.param([], "List does not show the configuration", id="nothing"),
        pytest.param(
            SETTINGS | {"URL": "http://other/"}, "does not show the configuration", id="another"
        ),
        pytest.param(SETTINGS | {"Timeout": 10}, "List shows Timeout 10, not 7", id="a default"),
        pytest.param(
            SETTINGS | {"Timeout": 7000}, "List shows Timeout 7000, not 7", id="milliseconds"
        ),
        pytest.param(SETTINGS | {"Enabled": False}, "List shows Enabled false, not true", id="off"),
        pytest.param(
            SETTINGS | {"MessageTypes": ["1"]}, 'MessageTypes ["1"], not ["1", "49"]', id="types"
        ),
        pytest.param(SETTINGS | {"MessageTypes": None}, "MessageTypes null", id="no types"),
        pytest.param({"URL": SETTINGS["URL"]}, "List does not show Timeout", id="the URL alone"),
    ],
)
def test_a_setting_that_is_listed_otherwise_is_a_finding(entry, said):
    assert said in finding("listed", listed(entry))


@pytest.mark.parametrize(("name", "update"), [("updated", "Update"), ("kept", "Update-only")])
def test_an_update_that_is_listed_is_right(name, update):
    changes = {"RetryCount": 6, "MessageTypes": ["1"]}
    assert check(name, listed(SETTINGS | changes, changes=changes, name=update)) == []
    one_text = SETTINGS | changes | {"MessageTypes": "1"}
    assert check(name, listed(one_text, changes=changes, name=update)) == []


def test_an_update_that_changed_nothing_is_a_finding():
    seen = listed(SETTINGS, changes={"RetryCount": 6})
    assert finding("updated", seen) == "List shows RetryCount 4, not 6"


def test_an_update_that_added_a_configuration_is_a_finding():
    changed = SETTINGS | {"RetryCount": 6}
    seen = listed([SETTINGS, changed], changes={"RetryCount": 6})
    assert "two configurations with the URL" in finding("updated", seen)


def test_an_update_that_changed_what_it_left_out_is_a_finding():
    seen = listed(
        SETTINGS | {"RetryCount": 6, "Timeout": 0}, changes={"RetryCount": 6}, name="Update-only"
    )
    assert finding("kept", seen) == "List shows Timeout 0, not 7"


def test_a_setting_that_was_left_out_may_be_listed_as_it_likes():
    assert check("updated", listed(SETTINGS, changes={"Timeout": None})) == []


def refused(said, status=200):
    calls = [called("Config", b"", SETTINGS), called("List", said, status=status, step=1)]
    steps = [{"call": {"Config": {}}}, {"call": "List"}]
    return step(*calls, steps=steps, index=1, configured=False), replace(PROFILE, lists=True)


@pytest.mark.parametrize("said", [[], [SETTINGS | {"URL": "http://other/"}]])
def test_what_was_refused_and_is_not_listed_is_right(said):
    assert check("unchanged", *refused(said)) == []


def test_a_refused_configuration_that_is_listed_is_a_finding():
    assert finding("unchanged", *refused([SETTINGS])) == "the invalid configuration is listed"


@pytest.mark.parametrize("status", [500, 404])
def test_what_is_not_listed_says_nothing_where_list_cannot_be_read(status):
    assert "List showed no configuration" in unjudged("unchanged", *refused([], status))
    assert "List showed no configuration" in unjudged("unchanged", *refused(b"<h1>none</h1>"))
    never, _ = refused([])
    assert "List showed no configuration" in unjudged("unchanged", never)
    failing = step(called("List", {"code": 500}, status=status), steps=[{"call": "List"}])
    assert "List showed no configuration" in unjudged("secret-hidden", failing)


def with_secret(shown, secret=SECRET):
    profile = replace(PROFILE, requested=Signer(PROFILE.requested.dialect, Secret(secret)))
    calls = [
        called("Config", {}, SETTINGS),
        called("List", shown if isinstance(shown, bytes) else [SETTINGS | {"Secret": shown}]),
    ]
    return step(*calls, steps=[{"call": "List"}]), profile


@pytest.mark.parametrize("shown", ["********", "a li****", "", None, "(hidden)", {"set": True}])
def test_a_masked_secret_is_hidden(shown):
    assert check("secret-hidden", *with_secret(shown)) == []


@pytest.mark.parametrize(
    ("shown", "secret"),
    [
        pytest.param(SECRET.decode(), SECRET, id="as JSON escapes it"),
        pytest.param(SECRET, SECRET, id="as it is"),
        pytest.param(b'[{"log": "signed with hunter2hunter2"}]', b"hunter2hunter2", id="somewhere"),
        pytest.param("s", b"s", id="a short one"),
        pytest.param('q"u\\ote', b'q"u\\ote', id="quotes"),
    ],
)
def test_a_secret_in_an_answer_is_a_finding(shown, secret):
    assert finding("secret-hidden", *with_secret(shown, secret)) == "List shows the whole Secret"


def test_a_list_without_the_suite_s_own_configuration_hides_nothing():
    others = called("List", [SETTINGS | {"URL": "http://other/", "Secret": "theirs, in full"}])
    seen = step(called("Config", {}, SETTINGS), others, steps=[{"call": "List"}])
    assert "List showed no configuration" in unjudged("secret-hidden", seen)


def test_whether_a_short_secret_in_other_words_is_shown_is_not_judged():
    assert "too short" in unjudged("secret-hidden", *with_secret("********", b"s"))
    assert check("secret-hidden", *with_secret("********", b"zq9#")) == []


REPORTS = {
    "unreachable": {"Success": False, "Message": "connection refused"},
    "timed-out": {"Success": False, "Message": "no answer within 5 s"},
    "refused": {"Success": False, "Message": "the endpoint answered 500"},
}


def reports(**changed):
    said = {**REPORTS, **{name.replace("_", "-"): each for name, each in changed.items()}}
    return [called("Test?id=3", {"data": each}, case=name) for name, each in said.items()]


def test_a_test_that_reports_failure_is_right():
    (call,) = reports()[2:]
    seen = step(call, steps=[{"call": "Test"}])
    assert check("test-failed", seen, replace(PROFILE, reports_tests=True)) == []


def test_a_test_that_never_reports_success_shows_nothing_by_a_failure():
    (call,) = reports()[2:]
    assert "reported no success" in unjudged("test-failed", step(call, steps=[{"call": "Test"}]))


def test_a_test_that_does_not_answer_reports_nothing():
    silent = called("Test", fault=Fault.TIMEOUT)
    seen = step(silent, steps=[{"call": "Test"}])
    assert unjudged("test-failed", seen, replace(PROFILE, reports_tests=True)).endswith(
        "did not answer"
    )


def test_a_test_that_reports_success_of_a_failure_is_a_finding():
    call = called("Test", {"data": {"Success": True, "Message": "sent"}})
    said = finding("test-failed", step(call, steps=[{"call": "Test"}]))
    assert said.startswith("Test reports success (sent), though the endpoint did not answer 200")


def test_three_failures_with_reports_of_their_own_are_right():
    assert broken(distinguishes_failures(reports(), PROFILE, Level.SHOULD)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param(
            {"timed_out": REPORTS["unreachable"]}, "of unreachable and timed-out", id="two alike"
        ),
        pytest.param(
            {"refused": {"Success": False, "Message": "Connection Refused"}},
            "of unreachable and refused",
            id="in another case",
        ),
    ],
)
def test_failures_with_the_same_report_are_a_finding(changed, said):
    (found,) = distinguishes_failures(reports(**changed), PROFILE, Level.SHOULD)
    assert said in told([found])[0]
    assert len(found.exchanges) == 2


def test_what_differs_from_call_to_call_distinguishes_nothing():
    alike = {
        name: {
            "Success": False,
            "Message": f"http://mock/h/{n}: failed",
            "Elapsed": n * 7.5,
            "ID": n,
        }
        for n, name in enumerate(REPORTS)
    }
    (found,) = distinguishes_failures(reports(**alike), PROFILE, Level.SHOULD)
    assert isinstance(found, Finding)


def test_a_test_without_an_answer_is_not_judged():
    unanswered = called("Test", case="refused", fault=Fault.TIMEOUT)
    (found,) = distinguishes_failures([*reports()[:2], unanswered], PROFILE, Level.SHOULD)
    assert told([found]) == ["no answer of Test (refused)"]


def test_a_base_url_with_test_in_its_path_is_no_test():
    there = [
        replace(each, request=replace(each.request, url=f"{API}/Test/Config"))
        for each in reports(timed_out=REPORTS["unreachable"])
    ]
    (found,) = distinguishes_failures(there, PROFILE, Level.SHOULD)
    assert told([found]) == ["no answer of Test (unreachable)"]
