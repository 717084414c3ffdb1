"""Answers of a configuration API, as one service or another gives them, read all the same."""

from __future__ import annotations

import json

import pytest

from conformance.checks.sender.api import (
    configuration_of,
    configurations,
    ident_of,
    message,
    succeeded,
)
from conformance.model.exchange import Fault
from tests.engine.hand_made import called

URL = "https://example.com/hook"
LISTED = {"URL": URL, "Secret": "********", "Enabled": True, "Timeout": 10, "MessageTypes": ["*"]}


@pytest.mark.parametrize(
    ("said", "status", "ok"),
    [
        pytest.param({"code": 0, "message": "success", "data": {}}, 200, True, id="code 0"),
        pytest.param({"Code": 200, "Data": {}, "Text": ""}, 200, True, id="code 200, capital"),
        pytest.param({"code": "0", "data": None}, 200, True, id="code as text"),
        pytest.param({"ret": 200, "msg": "操作成功", "data": {}}, 200, True, id="ret 200"),
        pytest.param({"errcode": 0, "errmsg": "ok"}, 200, True, id="errcode 0"),
        pytest.param({"code": 1, "msg": "success"}, 200, True, id="code 1, which is fine there"),
        pytest.param({"code": "SUCCESS"}, 200, True, id="code in words"),
        pytest.param({"success": True}, 201, True, id="success, created"),
        pytest.param({"status": "success"}, 200, True, id="status"),
        pytest.param({"error": None, "id": 3}, 200, True, id="no error"),
        pytest.param([LISTED], 200, True, id="a bare list"),
        pytest.param(b"", 204, True, id="nothing"),
        pytest.param(b"OK", 200, True, id="a word"),
        pytest.param(b"<!doctype html><h1>webhook</h1>", 200, True, id="HTML"),
        pytest.param({"code": 400, "message": "bad URL"}, 200, False, id="code 400 with 200"),
        pytest.param(
            {"Code": -2, "Data": None, "Text": "没有权限"}, 200, False, id="a negative code"
        ),
        pytest.param({"ret": 500, "msg": "失败"}, 200, False, id="ret 500"),
        pytest.param({"errcode": 40001, "errmsg": "invalid"}, 200, False, id="errcode"),
        pytest.param({"success": False, "message": "no"}, 200, False, id="success false with 200"),
        pytest.param(
            {"code": 0, "data": {"Success": False}}, 200, False, id="success false inside"
        ),
        pytest.param({"ok": False, "detail": "refused"}, 200, False, id="ok false with 200"),
        pytest.param({"status": "error", "message": "no"}, 200, False, id="status error with 200"),
        pytest.param({"status": "failed"}, 200, False, id="status failed with 200"),
        pytest.param({"error": "bad URL"}, 200, False, id="an error with 200"),
        pytest.param({"code": 0}, 400, False, id="400"),
        pytest.param({"code": 0}, 302, False, id="a redirect"),
        pytest.param(b"Internal Server Error", 500, False, id="500"),
    ],
)
def test_a_call_succeeded_when_status_and_body_say_so(said, status, ok):
    assert succeeded(called("Config", said, status=status)) is ok


def test_a_call_without_an_answer_did_not_succeed():
    assert not succeeded(called("Config", fault=Fault.TIMEOUT))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"code": 0, "message": "success", "data": [LISTED]}, id="envelope, array"),
        pytest.param({"Code": 200, "Data": [LISTED], "Text": ""}, id="envelope, capital"),
        pytest.param([LISTED], id="bare array"),
        pytest.param(LISTED, id="bare object"),
        pytest.param({"data": LISTED}, id="the only one"),
        pytest.param({"data": {"list": [LISTED], "total": 1}}, id="a page"),
        pytest.param({"configs": {"1": LISTED}}, id="by its ID"),
        pytest.param([{"id": 7, "config": LISTED}], id="wrapped"),
        pytest.param({"data": [{"url": URL}]}, id="lower case, Secret absent"),
        pytest.param({"data": [{"Url": URL, "secret": None}]}, id="another case, Secret null"),
    ],
)
def test_configurations_are_found_wherever_they_stand(said):
    assert configuration_of(called("List", said), URL)["url"] == URL


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<h1>List</h1>", id="HTML"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 100_000, id="endless brackets"),
        pytest.param(b"[" * 800 + b"]" * 800, id="deep"),
        pytest.param({"data": None}, id="null"),
        pytest.param({"data": "none"}, id="text"),
        pytest.param({"data": []}, id="empty"),
        pytest.param({"data": [{"url": 5}]}, id="a URL that is none"),
        pytest.param(7, id="a number"),
    ],
)
def test_where_there_are_none_none_are_found(said):
    call = called("List", said)
    assert configurations(call) == []
    assert configuration_of(call, URL) is None
    assert ident_of(call) is None
    assert isinstance(message(call), str)
    assert succeeded(call)


def test_one_of_several_is_chosen_by_its_url():
    said = {"data": [LISTED | {"URL": "https://other/", "ID": 1}, LISTED | {"ID": 2}]}
    assert configuration_of(called("List", said), URL)["id"] == 2
    assert len(configurations(called("List", said))) == 2


@pytest.mark.parametrize(
    ("said", "ident"),
    [
        pytest.param({"code": 0, "data": {"ID": 7}}, 7, id="in the envelope"),
        pytest.param({"id": "b2a4"}, "b2a4", id="bare, a text"),
        pytest.param({"Data": {"Id": 1}}, 1, id="any case"),
        pytest.param({"code": 0, "id": 9, "data": None}, 9, id="beside empty data"),
        pytest.param({"code": 0, "message": "success"}, None, id="none"),
        pytest.param({"data": [1]}, None, id="an array"),
        pytest.param(b"created", None, id="a word"),
    ],
)
def test_the_id_is_learnt_from_the_answer(said, ident):
    assert ident_of(called("Config", said)) == ident


@pytest.mark.parametrize(
    ("said", "text"),
    [
        pytest.param({"message": "bad URL"}, "bad URL", id="message"),
        pytest.param(
            {"message": "success", "data": {"Message": "refused"}}, "refused", id="inside"
        ),
        pytest.param({"Code": -2, "Data": None, "Text": "没有权限"}, "没有权限", id="Text"),
        pytest.param({"ret": 500, "msg": "失败"}, "失败", id="msg"),
        pytest.param({"errcode": 1, "errmsg": "invalid"}, "invalid", id="errmsg"),
        pytest.param({"error": "bad URL"}, "bad URL", id="error"),
        pytest.param({"detail": 5}, '{"detail": 5}', id="no known word"),
        pytest.param(b"Not Found", "Not Found", id="plain text"),
        pytest.param(b"\xff", "�", id="no text"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_what_an_answer_says_is_found(said, text):
    assert message(called("Test", said)) == text


def test_a_long_message_of_an_answer_is_shortened():
    assert len(message(called("Test", {"message": "x" * 10_000}))) <= 200
    assert len(message(called("Test", b"x" * 10_000))) <= 200


def test_json_is_read_in_other_encodings_of_unicode():
    said = json.dumps([LISTED]).encode("utf-16")
    assert configuration_of(called("List", said), URL) is not None


def test_names_with_underscores_in_a_result_are_read_as_the_guides_in_data():
    answer = called("List", {"errcode": 0, "result": [{"url": URL, "retry_count": 3}]})
    assert configuration_of(answer, URL) == {"url": URL, "retrycount": 3}
    assert not succeeded(called("Test", {"errcode": 0, "result": {"success": False}}))
