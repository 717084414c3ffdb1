"""The suite against one faulty sender for each rule, and correct ones."""

import pytest

from tests.gallery.parts import check, judged, peers_of


@pytest.fixture(scope="module")
def rows(request):
    return judged(request)


@pytest.mark.parametrize("peer", peers_of("sender"))
def test_the_suite_says_of_each_sender_what_it_must(rows, peer):
    check(rows[peer.name])
