"""Options of a load run: an error is one line that names the option."""

import pytest

from conformance.load.settings import OPTIONS, read, split
from conformance.model.errors import InputError

DEFAULTS = {each.name.replace("-", "_"): each.default for each in OPTIONS} | {"secret": "s"}
HOST = "http://localhost:5000"


def test_the_defaults_are_the_dialects_deadline_and_no_failure():
    settings = read(HOST, DEFAULTS)
    assert (settings.deadline, settings.max_p99, settings.max_fail_ratio) == (5.0, None, 0.0)
    assert settings.user_rate is None
    assert settings.url == "http://localhost:5000/webhook/receiver"
    assert settings.mix == {"ordinary": 7, "repeats": 1, "forgeries": 1, "storms": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"secret": ""}, "--secret: give", id="no secret"),
        pytest.param({"secret": "env:NO_SUCH_NAME"}, "NO_SUCH_NAME is not set", id="no variable"),
        pytest.param({"path": "hook"}, "--path: 'hook' must start with a slash", id="path"),
        pytest.param({"dialect": "gude"}, "did you mean 'guide'", id="dialect"),
        pytest.param({"observer_url": "http://h/p"}, "has no {msgId}", id="observer"),
        pytest.param({"user_rate": "fast"}, "--user-rate: 'fast' must be a number", id="rate"),
        pytest.param({"max_p99": -1}, "--max-p99: -1 must be a number", id="p99"),
        pytest.param({"deadline": "inf"}, "--deadline: 'inf' must be", id="deadline"),
        pytest.param({"mix": "storm=1"}, "did you mean storms?", id="mix, a typo"),
        pytest.param({"mix": "storms=x"}, "--mix: 'x' must be a number", id="mix, no number"),
        pytest.param({"mix": "ordinary=0"}, "leaves no users", id="mix, nobody"),
        pytest.param({"ca": "/no/such/file"}, "--ca: there is no file", id="ca"),
        pytest.param({"lang": "de"}, "--lang: 'de'", id="lang"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(InputError) as raised:
        read(HOST, DEFAULTS | options)
    assert message in str(raised.value)


def test_a_host_is_needed():
    with pytest.raises(InputError, match="--host: give the receiver's"):
        read(None, DEFAULTS)


def test_the_repr_hides_the_secret():
    assert "lighthouse" not in repr(read(HOST, DEFAULTS | {"secret": "a lighthouse"}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("http://h:1/a/b", ("http://h:1", "/a/b"), id="path"),
        pytest.param("https://h", ("https://h", "/"), id="no path"),
        pytest.param("http://h/a?b=c", ("http://h", "/a?b=c"), id="query"),
        pytest.param("http://[::1]:5/a", ("http://[::1]:5", "/a"), id="IPv6"),
    ],
)
def test_an_endpoint_is_split_into_host_and_path(url, expected):
    assert split(url) == expected
