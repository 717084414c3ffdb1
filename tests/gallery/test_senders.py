"""The suite against a faulty sender for each rule."""

import pytest

from tests.gallery.parts import check, judge_selected, peers_of


@pytest.fixture(scope="module")
def rows(request):
    return judge_selected(request)


@pytest.mark.parametrize("peer", peers_of("sender"))
def test_each_faulty_sender_is_caught_by_its_rules(rows, peer):
    check(rows[peer.name])
