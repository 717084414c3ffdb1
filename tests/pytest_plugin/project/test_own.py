"""The project's own tests."""

import pytest
from conftest import NAMES

pytestmark = pytest.mark.timeout(120)  # a busy machine is no fault of the project


@pytest.mark.parametrize("name", NAMES)
def test_the_option_is_ours(pytestconfig, name):
    assert pytestconfig.getoption(f"--{name}") == f"own-{name}"


@pytest.mark.django_db
def test_the_database_is_there():
    from django.db import connection

    with connection.cursor() as cursor:
        assert cursor.execute("SELECT 1").fetchone() == (1,)
