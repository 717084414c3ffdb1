"""Configurations: what is taken and under which names, what is refused and how, what is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.errors import InputError
from conformance.protocol.configuration import ALL, MASK, Configuration, check_url, read
from conformance.protocol.dialect import Secret

URL = "http://127.0.0.1:5000/webhook/receiver"
WHOLE: dict[str, Any] = {
    "URL": URL,
    "Secret": "a lighthouse",
    "Enabled": False,
    "Timeout": 4,
    "RetryCount": 0,
    "MessageTypes": ["1", "49"],
    "IncludeSelfMessage": True,
}


def message(msg_type: float = 1, own: bool = False) -> dict[str, Any]:
    return {"msgType": msg_type, "isSelfMsg": own}


def test_what_is_left_out_is_as_the_contract_says() -> None:
    assert read({"URL": URL}) == Configuration(
        url=URL,
        secret=Secret(b""),
        enabled=True,
        timeout=10,
        retry_count=3,
        message_types=(ALL,),
        include_self_message=False,
    )


def test_every_field_is_taken() -> None:
    assert read(WHOLE) == Configuration(
        URL, Secret(b"a lighthouse"), False, 4, 0, ("1", "49"), True
    )


@pytest.mark.parametrize("change", [str.lower, str.upper, str.swapcase])
def test_names_are_matched_whatever_their_case(change: Any) -> None:
    assert read({change(name): value for name, value in WHOLE.items()}) == read(WHOLE)


def test_unknown_fields_are_ignored() -> None:
    assert read({**WHOLE, "UseDirectStream": True, "key": 5}) == read(WHOLE)


def test_message_types_may_be_numbers() -> None:
    assert read({"URL": URL, "MessageTypes": [1, "3", 10002]}).message_types == ("1", "3", "10002")


def test_leading_zeros_of_a_message_type_do_not_count() -> None:
    assert read({"URL": URL, "MessageTypes": ["01", "000"]}).message_types == ("1", "0")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"URL": None}, "URL must be a string", id="null-url"),
        pytest.param({"URL": "ftp://a/"}, "URL must be an http or https URL", id="ftp"),
        pytest.param({"URL": "http://"}, "URL must be an http or https URL", id="no-host"),
        pytest.param({"URL": "http://a b/"}, "URL must be an http or https URL", id="space"),
        pytest.param({"URL": "http://u:p@a/"}, "URL must not carry credentials", id="credentials"),
        pytest.param({"URL": "http://u@a/"}, "URL must not carry credentials", id="user"),
        pytest.param({"URL": "http://a:0/"}, "URL needs a host, and a port", id="port-0"),
        pytest.param({"URL": "http://a:70000/"}, "URL has an impossible host", id="port-70000"),
        pytest.param(
            {"URL": "http://\x01a/"}, "URL must not contain control", id="control-character"
        ),
        pytest.param(
            {"URL": "http://a/\ud800"}, "URL has an impossible host", id="surrogate-in-url"
        ),
        pytest.param({"URL": "http://xn--a/"}, "URL has an impossible host", id="no-such-name"),
        pytest.param({"URL": "http://127.1/"}, "URL has an impossible host", id="half-an-address"),
        pytest.param({"Secret": 5}, "Secret must be a string", id="secret-number"),
        pytest.param({"Secret": "\ud800"}, "Secret must be Unicode text", id="surrogate-in-secret"),
        pytest.param({"Secret": MASK}, "send the secret itself", id="masked-secret-of-nothing"),
        pytest.param({"Enabled": "yes"}, "Enabled must be a boolean", id="enabled-text"),
        pytest.param({"Timeout": 0}, "Timeout must be at least 1, not 0", id="timeout-0"),
        pytest.param({"Timeout": -5}, "Timeout must be at least 1, not -5", id="timeout-negative"),
        pytest.param({"Timeout": 31}, "Timeout must be at most 30, not 31", id="timeout-huge"),
        pytest.param({"Timeout": "10"}, "Timeout must be an integer", id="timeout-text"),
        pytest.param({"Timeout": True}, "Timeout must be an integer", id="timeout-true"),
        pytest.param({"Timeout": 2.5}, "Timeout must be an integer", id="timeout-fraction"),
        pytest.param({"RetryCount": -1}, "RetryCount must be at least 0", id="retries-negative"),
        pytest.param({"RetryCount": 101}, "RetryCount must be at most 100", id="retries-huge"),
        pytest.param({"MessageTypes": "1"}, "MessageTypes must be an array", id="types-text"),
        pytest.param({"MessageTypes": None}, "MessageTypes must be an array", id="types-null"),
        pytest.param({"MessageTypes": ["Text"]}, r"MessageTypes\[0\] must be a msgType", id="word"),
        pytest.param({"MessageTypes": ["1", True]}, r"MessageTypes\[1\] must be", id="type-true"),
        pytest.param({"MessageTypes": {"1": True}}, "MessageTypes must be an array", id="object"),
        pytest.param({"MessageTypes": 1}, "MessageTypes must be an array", id="types-number"),
        pytest.param({"MessageTypes": [1.5]}, r"MessageTypes\[0\] must be", id="type-fraction"),
        pytest.param({"MessageTypes": ["1,3"]}, r"MessageTypes\[0\] must be", id="type-list-text"),
        pytest.param({"MessageTypes": ["**"]}, r"MessageTypes\[0\] must be", id="two-stars"),
        pytest.param({"MessageTypes": [-1]}, r"MessageTypes\[0\] must be", id="type-negative"),
        pytest.param({"IncludeSelfMessage": 1}, "IncludeSelfMessage must be a b", id="self-number"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read({"URL": URL, **fields})


def test_every_wrong_field_is_named() -> None:
    with pytest.raises(InputError, match=r"Timeout must be .*; URL is missing"):
        read({"Timeout": 99})


@pytest.mark.parametrize("given", [[], "x", None, 5])
def test_what_is_no_object_is_refused(given: object) -> None:
    with pytest.raises(InputError, match="the body must be an object"):
        read(given)


def test_a_refusal_never_quotes_the_secret() -> None:
    with pytest.raises(InputError) as refusal:
        read({"URL": URL, "Secret": ["keep this"], "Timeout": 99})
    assert "keep this" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["http://[::1]:5000/", "https://例子.測試/接收?x=%41#y", "HTTP://Host", "http://a_b/"]
)
def test_odd_urls_are_taken(url: str) -> None:
    check_url(url)


def test_the_secret_is_shown_masked_and_its_absence_as_such() -> None:
    assert [
        read(WHOLE).public_fields()["Secret"],
        read({"URL": URL}).public_fields()["Secret"],
    ] == [MASK, ""]


def test_neither_a_repr_nor_a_mask_reveals_the_secret() -> None:
    configuration = read(WHOLE)
    assert "lighthouse" not in f"{configuration!r}{configuration.public_fields()}"


def test_an_update_leaves_what_it_does_not_name() -> None:
    base = read(WHOLE)
    assert read({"timeout": 9}, base) == Configuration(
        URL, base.secret, False, 9, 0, ("1", "49"), True
    )


def test_the_mask_sent_back_leaves_the_secret() -> None:
    assert read({"Secret": MASK}, read(WHOLE)).secret == b"a lighthouse"


def test_an_update_is_judged_like_a_new_one() -> None:
    with pytest.raises(InputError, match="RetryCount must be at most 100"):
        read({"RetryCount": 1000}, read(WHOLE))


@pytest.mark.parametrize(
    ("fields", "given", "wanted"),
    [
        pytest.param({}, message(9999), True, id="all-types"),
        pytest.param({"MessageTypes": ["1", "49"]}, message(49), True, id="a-listed-type"),
        pytest.param({"MessageTypes": ["1", "49"]}, message(4), False, id="a-type-not-listed"),
        pytest.param({"MessageTypes": ["1", "*"]}, message(4), True, id="star-among-others"),
        pytest.param({"MessageTypes": ["1"]}, message(1.0), True, id="a-float-that-is-an-integer"),
        pytest.param({"MessageTypes": []}, message(1), True, id="an-empty-list"),
        pytest.param({}, message(own=True), False, id="self-message"),
        pytest.param({"IncludeSelfMessage": True}, message(own=True), True, id="self-included"),
        pytest.param({"Enabled": False}, message(), False, id="disabled"),
    ],
)
def test_the_filters_decide(fields: dict[str, Any], given: dict[str, Any], wanted: bool) -> None:
    assert read({"URL": URL, **fields}).wants(given) is wanted


CONFIGURATIONS = st.builds(
    Configuration,
    url=st.just(URL),
    secret=st.text(st.characters(exclude_categories=["Cs"]))
    .filter(lambda text: text != MASK)
    .map(lambda text: Secret(text.encode())),
    enabled=st.booleans(),
    timeout=st.integers(1, 30),
    retry_count=st.integers(0, 100),
    message_types=st.lists(st.integers(0, 20000).map(str) | st.just(ALL)).map(tuple),
    include_self_message=st.booleans(),
)


@given(CONFIGURATIONS)
def test_what_is_shown_reads_back_as_it_was_but_for_the_secret(
    configuration: Configuration,
) -> None:
    assert read(configuration.public_fields(), configuration) == configuration
