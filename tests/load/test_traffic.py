"""Messages of the users: they fit the guide and follow the seed, and no forgery is valid."""

import json

import pytest

from conformance.load.traffic import FORGERY_KINDS, draw, forgeries
from conformance.protocol.dialect import Secret, verify
from conformance.protocol.signing import Signer
from conformance.protocol.validation import message_problems
from conformance.scenario import dialects

TEMPLATES = [template for burst in draw(1) for template in burst]
ID, NOW = 4_611_686_018_427_387_905, 1_790_000_000


def test_every_message_fits_the_schema_of_its_type():
    for template in TEMPLATES:
        assert message_problems(json.loads(template.body(ID, NOW))) == []


def test_a_body_carries_the_id_and_the_times_it_was_made_for():
    for template in TEMPLATES:
        fields = json.loads(template.body(ID, NOW))
        assert (fields["msgId"], fields["timestamp"], fields["createTime"]) == (
            str(ID), NOW, NOW - 2,
        )  # fmt: skip


def test_the_same_seed_draws_the_same_messages_and_another_does_not():
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_the_guides_types_are_there_in_realistic_shares():
    kinds = [json.loads(each.body(ID, NOW))["msgType"] for each in TEMPLATES]
    assert set(kinds) == {1, 3, 34, 43, 47, 49, 10000, 10002}
    assert kinds.count(1) > len(kinds) / 2


def test_groups_talk_in_bursts_of_their_own():
    rooms = [
        {json.loads(template.body(ID, NOW))["fromUser"] for template in burst}
        for burst in draw(1)
        if len(burst) > 1
    ]
    assert rooms
    assert all(len(each) == 1 and next(iter(each)).endswith("@chatroom") for each in rooms)


def test_sizes_reach_from_a_few_words_to_a_film():
    sizes = sorted(len(each.body(ID, NOW)) for each in TEMPLATES)
    assert sizes[len(sizes) // 2] < 500
    assert sizes[-1] > 80_000
    assert sum(sizes) / len(sizes) < 8_000


@pytest.mark.parametrize("name", dialects.names())
def test_no_forgery_verifies(name):
    dialect = dialects.load(name)
    signer = Signer(dialect, Secret(b"a lighthouse"))
    for template in TEMPLATES[::40]:
        body = template.body(ID, NOW)
        for tamper in forgeries(dialect):
            forgery = tamper(signer.sign(dialect.timestamp(NOW), body), signer)
            headers = [forgery.timestamp or b"", *forgery.signatures]
            assert len(headers) < 2 or not verify(
                dialect, signer.secret, headers[0], forgery.body, headers[1]
            )


def test_a_dialect_that_does_not_sign_the_timestamp_has_no_forgery_of_it(tmp_path):
    text = (dialects.BUILT_IN / "guide.yaml").read_text(encoding="utf-8")
    file = tmp_path / "body.yaml"
    file.write_text(text.replace('"{timestamp}:{body}"', '"{body}"'), encoding="utf-8")
    assert len(forgeries(dialects.read(file))) == len(FORGERY_KINDS) - 1
