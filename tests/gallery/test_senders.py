"""The suite against a faulty sender for each rule, and against correct ones."""

import pytest

from tests.gallery.parts import check, judge_selected, peers_of


@pytest.fixture(scope="module")
def rows(request):
    return judge_selected(request)


@pytest.mark.parametrize("peer", peers_of("sender"))
def test_each_sender_is_caught_by_its_rules_alone(rows, peer):
    check(rows[peer.name])
