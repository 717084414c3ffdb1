"""What is masked in a result: what a peer may have sent, and not the suite's own words. And in the bytes of a
request, a secret that is divided."""

from conformance.model.exchange import Request, Role, Transport
from conformance.model.result import Result
from conformance.model.rules import Level, Outcome
from conformance.model.sentence import Sentence
from conformance.options.secrets import mask_of
from conformance.scenario.load import built_in
from conformance.trace.masking import mask_exchange, mask_result
from tests.trace.parts import exchange

RULE = built_in("receiver")[0].rule


def result(message, reproduce=None):
    return Result(RULE, None, Level.MUST, Outcome.FAIL, message, reproduce=reproduce)


def test_rule_ids_and_templates_stay():
    inner = Sentence("the rule {rule}", rule="receiver.alive")
    message = Sentence("alive: {text} ({inner})", text="it says alive", inner=inner)
    masked = mask_result(result(message), mask_of(b"alive"))
    assert str(masked.message) == "alive: it says (secret) (the rule receiver.alive)"


def test_a_shell_line_that_holds_the_secret_is_left_out():
    line = "printf %s 'alive \ud83d' | curl http://a"
    kept, left_out = (mask_result(result(Sentence("odd"), line), mask_of(each))
                      for each in (b"Alive", b"alive"))  # fmt: skip
    assert (kept.reproduce, left_out.reproduce) == (line, None)


def test_a_secret_that_chunks_divide_does_not_stay_in_the_bytes_of_a_request():
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = head + b"5\r\nsword\r\n4\r\nfish\r\n0\r\n\r\n"
    request = Request("POST", "http://mock/", (), b"swordfish", Transport.RAW)
    masked = mask_exchange(
        exchange(role=Role.ATTEMPT, request=request, raw=raw), mask_of(b"swordfish")
    )
    assert masked.raw == head + b"(secret)"
