"""What a run is asked to do: what cannot be used is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.model.errors import InputError
from conformance.options.sender import SenderOptions
from conformance.options.table import SenderTable
from conformance.options.table import options as declared
from conformance.options.values import read
from conformance.protocol.dialect import Secret
from conformance.scenario import dialects

LISTEN = declared(SenderTable)["listen"]
API = "http://localhost:8080/v1/webhook"


def options(**given):
    secret = Secret(given.pop("secret", b"a-secret"))
    return SenderOptions(
        **{"api_url": API, "secret": secret, "dialect": dialects.load("guide"), **given}
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"api_url": "localhost:8080"}, "the API: .* http:// or https://", id="no scheme"
        ),
        pytest.param({"api_url": f"{API}?key=K"}, "--api-key", id="a key in the URL"),
        pytest.param({"api_url": f"{API}#x"}, "must end before", id="a fragment"),
        pytest.param({"emit_url": "ftp://h/"}, "--emit-url: ", id="emit to ftp"),
        pytest.param({"public_url": "h"}, "--public-url: ", id="public URL"),
        pytest.param(
            {"emit_url": "http://h/", "emit_command": "cat"},
            "--emit-url and --emit-command",
            id="both ways",
        ),
        pytest.param({"emit_command": ""}, "--emit-command: the command is empty", id="no command"),
        pytest.param({"emit_command": " \t"}, "--emit-command: the command is", id="only spaces"),
        pytest.param({"tls_cert": Path("c")}, "--tls-cert and --tls-key", id="no key"),
        pytest.param({"tls_key": Path("k")}, "--tls-cert and --tls-key", id="no certificate"),
        pytest.param({"secret": b""}, "--secret", id="no secret"),
        pytest.param({"timeout": 0}, "--timeout", id="no time"),
    ],
)
def test_a_value_that_cannot_be_used_is_reported_by_its_option(given, message):
    with pytest.raises(InputError, match=message) as raised:
        options(**given)
    assert "\n" not in str(raised.value)


def test_a_key_in_the_url_is_not_quoted():
    with pytest.raises(InputError) as raised:
        options(api_url=f"{API}?key=my-own-key")
    assert "my-own-key" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "listen"),
    [
        pytest.param("0.0.0.0:8080", ("0.0.0.0", 8080), id="everywhere"),
        pytest.param("localhost:0", ("localhost", 0), id="a free port"),
        pytest.param("[::1]:80", ("::1", 80), id="IPv6"),
    ],
)
def test_where_to_listen_is_a_host_and_a_port(given, listen):
    assert read(LISTEN, given) == listen


@pytest.mark.parametrize(
    "given",
    ["8080", ":8080", "localhost", "localhost:", "h:80000", "h:80/path", "http://h:80", "h:x", ""],
)
def test_anything_else_to_listen_on_is_refused(given):
    with pytest.raises(InputError, match=r"--listen: .* must be HOST:PORT"):
        read(LISTEN, given)


@pytest.mark.parametrize(
    ("url", "elsewhere"),
    [
        pytest.param("http://127.0.0.1:80/", False, id="loopback"),
        pytest.param("http://127.9.9.9/", False, id="more loopback"),
        pytest.param("http://[::1]/", False, id="IPv6 loopback"),
        pytest.param("http://localhost/", False, id="localhost"),
        pytest.param("http://192.168.0.7/", True, id="another machine"),
        pytest.param("https://hooks.example.com/", True, id="a name"),
    ],
)
def test_whether_the_sender_is_on_another_machine_shows_in_its_url(url, elsewhere):
    assert options(api_url=url).is_remote is elsewhere
