"""The sender's API over HTTP, with an independent client and endpoint."""

from __future__ import annotations

import logging

import pytest

from conformance.protocol.configuration import MASK
from conformance.protocol.dialect import Secret
from conformance.protocol.validation import message_problems
from conformance.sender.app import Settings
from tests.sender.parts import (
    QUICK,
    SECRET,
    URL,
    api,
    call,
    create,
    deliveries,
    emit,
    endpoint,
    ids,
    listed,
    openssl,
    status,
)


async def test_a_configuration_is_listed_as_it_was_created_and_its_secret_masked() -> None:
    fields = {
        "URL": URL,
        "Secret": SECRET,
        "Enabled": False,
        "Timeout": 4,
        "RetryCount": 0,
        "MessageTypes": ["1", "49"],
        "IncludeSelfMessage": True,
    }
    async with api() as base:
        await call("POST", f"{base}/Config", fields)
        assert await listed(base) == [fields | {"ID": 1, "Secret": MASK}]


async def test_the_same_url_again_updates_and_keeps_an_omitted_secret() -> None:
    with endpoint() as hook:
        async with api() as base:
            assert await create(base, hook.url, Timeout=4) == 1
            answer = await call("POST", f"{base}/Config", {"url": hook.url, "RetryCount": 1})
            assert answer.data["ID"] == 1
            assert [(each["Timeout"], each["RetryCount"]) for each in await listed(base)] == [
                (10, 1)
            ]
            await call("GET", f"{base}/Test")
            (request,) = await hook.arrived(1)
            assert request.headers["x-webhook-signature"] == openssl(request, SECRET)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param({}, "URL is missing", id="no-url"),
        pytest.param({"URL": "ftp://a/"}, "URL must be", id="ftp"),
        pytest.param({"URL": "http://"}, "URL must be", id="no-host"),
        pytest.param({"URL": "http://a b/"}, "URL must be", id="space-in-the-host"),
        pytest.param({"URL": "http://a/b c"}, "URL must be", id="space-in-the-path"),
        pytest.param({"URL": " http://a/"}, "URL must be", id="space-in-front"),
        pytest.param({"URL": "http://u:p@a/"}, "URL must not carry credentials", id="credentials"),
        pytest.param({"URL": URL, "Timeout": -1}, "Timeout must be", id="timeout-negative"),
        pytest.param({"URL": URL, "Timeout": 10**9}, "Timeout must be", id="timeout-huge"),
        pytest.param({"URL": URL, "RetryCount": -1}, "RetryCount must be", id="retries-negative"),
        pytest.param({"URL": URL, "RetryCount": 10**9}, "RetryCount must be", id="retries-huge"),
        pytest.param({"URL": URL, "MessageTypes": "1"}, "MessageTypes must be", id="types-text"),
        pytest.param({"URL": URL, "MessageTypes": {}}, "MessageTypes must be", id="types-object"),
        pytest.param(
            {"URL": URL, "MessageTypes": ["x"]}, "MessageTypes[0] must be", id="type-word"
        ),
        pytest.param(
            {"URL": URL, "MessageTypes": ["1", "1.5"]},
            "MessageTypes[1] must be",
            id="type-fraction",
        ),
        pytest.param([], "the body must be an object", id="array"),
        pytest.param(b"URL=http", "the body is not JSON", id="not-json"),
        pytest.param(b"", "the body is not JSON", id="empty"),
        pytest.param(b'{"URL": NaN}', "the body is not JSON", id="nan"),
        pytest.param(b"\xff", "the body is not UTF-8", id="not-utf-8"),
        pytest.param(b"[" * 20_000, "the body is nested too deeply", id="deep"),
        pytest.param(b'{"URL":"%b"}' % (b"x" * 10 * 2**20), "the body is larger than", id="10-MiB"),
    ],
)
async def test_a_bad_configuration_is_refused_by_name_and_nothing_is_stored(
    body: object, words: str
) -> None:
    async with api() as base:
        answer = await call("POST", f"{base}/Config", body)
        assert 400 <= answer.status < 500
        assert (answer.code, answer.data) == (answer.status, None)
        assert words in answer.message
        assert await listed(base) == []
        assert (await call("GET", f"{base}/Test")).status == 404


async def test_an_update_by_id_leaves_the_fields_it_does_not_name() -> None:
    async with api() as base:
        await create(base)
        await create(base, "http://127.0.0.1:9/other", Timeout=4)
        answer = await call("PUT", f"{base}/Update", {"id": "2", "retryCount": 7, "Secret": MASK})
        assert (answer.status, answer.data["ID"]) == (200, 2)
        first, second = await listed(base)
        assert (first["RetryCount"], second["RetryCount"], second["Timeout"]) == (3, 7, 4)


async def test_an_update_can_name_its_configuration_by_url() -> None:
    async with api() as base:
        await create(base)
        await create(base, "http://127.0.0.1:9/other")
        await call("PUT", f"{base}/Update", {"URL": URL, "Enabled": False})
        assert [each["Enabled"] for each in await listed(base)] == [False, True]


async def test_an_update_of_the_only_configuration_needs_neither_and_may_change_its_url() -> None:
    async with api() as base:
        await create(base)
        await call("PUT", f"{base}/Update", {"URL": "http://127.0.0.1:9/new"})
        assert [each["URL"] for each in await listed(base)] == ["http://127.0.0.1:9/new"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"Enabled": False}, 404, id="which-of-two"),
        pytest.param({"ID": 9}, 404, id="an-id-there-is-not"),
        pytest.param({"ID": "x"}, 400, id="no-id"),
        pytest.param({"ID": 1, "URL": "http://127.0.0.1:9/other"}, 409, id="anothers-url"),
        pytest.param({"ID": 1, "Timeout": 99}, 400, id="bad-timeout"),
        pytest.param([], 400, id="array"),
    ],
)
async def test_a_refused_update_changes_nothing(body: object, code: int) -> None:
    async with api() as base:
        await create(base)
        await create(base, "http://127.0.0.1:9/other")
        before = await listed(base)
        answer = await call("PUT", f"{base}/Update", body)
        assert (answer.status, answer.code) == (code, code)
        assert await listed(base) == before


async def test_sending_the_mask_back_keeps_the_secret() -> None:
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url)
            await call("PUT", f"{base}/Update", (await listed(base))[0] | {"Timeout": 3})
            await call("GET", f"{base}/Test")
            (request,) = await hook.arrived(1)
            assert request.headers["x-webhook-signature"] == openssl(request, SECRET)


async def test_a_deleted_configuration_is_gone() -> None:
    async with api() as base:
        await create(base)
        assert (await call("DELETE", f"{base}/Delete?id=1")).status == 200
        assert await listed(base) == []
        assert (await call("DELETE", f"{base}/Delete?id=1")).status == 404


async def test_a_test_sends_a_signed_message_that_fits_the_schema() -> None:
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url, MessageTypes=["49"])
            answer = await call("GET", f"{base}/Test?id=1")
            (request,) = await hook.arrived(1)
            assert (answer.data["Success"], answer.data["Message"]) == (
                True,
                "the endpoint answered 200",
            )
            assert 0 < answer.data["Elapsed"] < 5000
            assert message_problems(request.json) == []
            assert request.json["createTime"] <= request.json["timestamp"]
            assert str(request.json["timestamp"]) == request.headers["x-webhook-timestamp"]
            assert request.headers["x-webhook-signature"] == openssl(request, SECRET)


async def test_two_tests_never_share_an_id() -> None:
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url)
            for _ in range(2):
                await call("GET", f"{base}/Test")
            assert len(set(ids(hook))) == 2


async def test_a_test_reports_what_went_wrong() -> None:
    with endpoint(status(401)) as hook:
        async with api() as base:
            await create(base, hook.url)
            answer = await call("GET", f"{base}/Test")
            assert (answer.status, answer.code) == (200, 0)
            assert (answer.data["Success"], answer.data["Status"]) == (False, 401)
            assert "compare the Secret" in answer.data["Message"]


async def test_a_test_without_id_tests_every_enabled_one_and_reports_the_newest() -> None:
    with endpoint() as hook, endpoint(status(500)) as failing:
        async with api() as base:
            await create(base, failing.url)
            await create(base, hook.url)
            await create(base, Enabled=False)
            await create(base, failing.url)  # configured again, and so the newest
            data = (await call("GET", f"{base}/Test")).data
            assert (data["ID"], data["Success"]) == (1, False)
            assert [(each["ID"], each["Success"]) for each in data["Results"]] == [
                (1, False),
                (2, True),
            ]


async def test_a_test_of_nothing_says_what_to_do() -> None:
    async with api() as base:
        answer = await call("GET", f"{base}/Test")
        assert (answer.status, answer.code) == (404, 404)
        assert "POST one to /v1/webhook/Config" in answer.message


async def test_status_reports_the_settings_and_the_counts() -> None:
    with endpoint(status(200), status(500)) as hook:
        async with api() as base:
            await create(base, hook.url, RetryCount=1, MessageTypes=[1])
            await emit(base, "1")
            await deliveries(base, "delivered", 1)
            await emit(base, "2")
            await deliveries(base, "failed", 1)
            data = (await call("GET", f"{base}/Status")).data
            (only,) = data.pop("configurations")
            assert only.pop("lastSendTime") == data.pop("lastSendTime") > 1.7e9
            assert only == data
            assert data == {
                "id": 1,
                "url": hook.url,
                "enabled": True,
                "timeout": 10,
                "retryCount": 1,
                "messageTypes": ["1"],
                "includeSelfMessage": False,
                "lastSendStatus": False,
                "totalSent": 1,
                "totalFailed": 1,
            }


async def test_status_of_nothing_is_a_success() -> None:
    async with api() as base:
        assert (await call("GET", f"{base}/Status")).data == {"configurations": []}


async def test_a_test_counts_as_the_last_send() -> None:
    with endpoint() as hook:
        async with api() as base:
            await create(base, hook.url)
            await call("GET", f"{base}/Test")
            data = (await call("GET", f"{base}/Status")).data
            assert data["lastSendTime"] > 1.7e9
            assert (data["lastSendStatus"], data["totalSent"]) == (True, 0)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/webhook/Nothing", 404),
        ("GET", "/", 404),
        ("GET", "/v1/webhook/Config/x", 404),
        ("GET", "/v1/webhook/Config", 405),
        ("POST", "/v1/webhook/List", 405),
        ("GET", "/v1/webhook/list", 200),
    ],
)
async def test_paths_match_in_any_case_and_wrong_ones_are_reported(
    method: str, path: str, code: int
) -> None:
    async with api() as base:
        answer = await call(method, base.removesuffix("/v1/webhook") + path)
        assert (answer.status, answer.code) == (code, 0 if code == 200 else code)


async def test_an_unneeded_key_is_ignored() -> None:
    async with api() as base:
        assert (await call("GET", f"{base}/List?key=anything")).status == 200


@pytest.mark.parametrize("query", ["", "?key=", "?key=wrong", "?key=%FF", "?KEY=a+key"])
async def test_without_the_api_key_nothing_is_answered(query: str) -> None:
    async with api(Settings(api_key=Secret(b"a key"))) as base:
        for name in ("List", "Nothing"):
            answer = await call("GET", f"{base}/{name}{query}")
            assert (answer.status, answer.code, answer.data) == (401, 401, None)


async def test_with_the_api_key_everything_is_answered() -> None:
    async with api(Settings(api_key=Secret(b"a key"))) as base:
        assert (await call("GET", f"{base}/List?key=a%20key")).status == 200


async def test_deny_private_reaches_the_deliveries() -> None:
    with endpoint() as hook:
        async with api(Settings(pace=QUICK, deny_private=True)) as base:
            await create(base, hook.url.replace("127.0.0.1", "localhost"), RetryCount=0)
            await emit(base, "1")
            (only,) = await deliveries(base, "failed", 1)
            assert "--deny-private forbids" in only["lastError"]
            assert hook.requests == []


async def test_the_secret_is_in_no_answer_and_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with endpoint(status(500)) as hook:
        async with api() as base:
            await create(base, hook.url, RetryCount=0)
            await emit(base, "1")
            await deliveries(base, "failed", 1)
            answer = [
                *[await call("GET", f"{base}/{each}") for each in ("List", "Status", "Test")],
                await call("GET", f"{base}/Deliveries"),
                await call("PUT", f"{base}/Update", {"Secret": SECRET, "Timeout": 4}),
                await call("PUT", f"{base}/Update", {"Secret": [SECRET]}),
            ]
    assert SECRET not in "".join(map(str, answer)) + caplog.text


async def test_an_internal_fault_is_reported_without_its_details(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("conformance.sender.queue.Queue.newest", None)
    async with api() as base:
        answer = await call("GET", f"{base}/Deliveries")
        assert (answer.status, answer.code, answer.message) == (500, 500, "internal error")
