"""The table of options: what the faces derive from it, and how values are read."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import SenderTarget, Target, check_receiver, check_sender
from conformance.model.errors import InputError
from conformance.options.receiver import Options
from conformance.options.table import ReceiverTable, SenderTable, options, pytest_options
from conformance.options.values import read_options
from tests.places import PACKAGE

TARGET = {"url": "http://h/", "secret": "a-secret"}


@pytest.mark.parametrize(
    ("function", "table"),
    [
        pytest.param(check_receiver, ReceiverTable, id="receiver"),
        pytest.param(check_sender, SenderTable, id="sender"),
    ],
)
def test_the_functions_show_every_option(function: object, table: type) -> None:
    assert callable(function)
    signature = inspect.signature(function)
    assert options(table).keys() <= signature.parameters.keys()
    assert all(f"{name}: " in (function.__doc__ or "") for name in list(options(table))[:3])


@pytest.mark.parametrize(
    ("name", "text", "data"),
    [
        pytest.param("fuzz", "3", 3, id="whole number"),
        pytest.param("timeout", "1.5", 1.5, id="number"),
        pytest.param("seed", "7", 7, id="seed"),
        pytest.param("rules", "receiver.*", ["receiver.*"], id="one of many"),
        pytest.param("scenarios", "own", [Path("own")], id="folders"),
        pytest.param("ca", "c.pem", Path("c.pem"), id="path"),
        pytest.param("dialect", "guide", "guide", id="dialect"),
        pytest.param("secret", "s", b"s", id="secret"),
    ],
)
def test_a_text_and_data_read_the_same(name: str, text: object, data: object) -> None:
    assert read_options(Options, {**TARGET, name: text}) == read_options(
        Options, {**TARGET, name: data}
    )


@pytest.mark.parametrize("value", [True, 1.5, [1], "1.0"])
def test_what_is_no_whole_number_is_reported(value: object) -> None:
    with pytest.raises(InputError, match=r"--fuzz: .* is not a whole number of at least 0"):
        read_options(Options, {**TARGET, "fuzz": value})


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="no option fuz; did you mean fuzz"):
        read_options(Options, {**TARGET, "fuz": 1})


def test_what_is_required_and_missing_is_reported() -> None:
    with pytest.raises(InputError, match="--secret: "):
        read_options(Options, {"url": "http://h/"})


def test_the_names_in_pytest_are_unique() -> None:
    names = [option.long for option in pytest_options().values()]
    assert len(names) == len(set(names))


def test_a_target_takes_the_options_of_its_side_alone() -> None:
    assert Target(url="http://h/", secret="s", headers=["K: V"]).headers == ("K: V",)
    assert SenderTarget(url="http://h/", secret="s").listen == "127.0.0.1:0"
    with pytest.raises(TypeError, match="emit_url"):
        Target(url="http://h/", secret="s", emit_url="http://h/")


def test_a_target_shows_no_secret() -> None:
    target = Target(url="http://h/", secret="a-secret", headers=["K: a-value"])
    assert repr(target) == "Target(url='http://h/')"


def test_the_table_loads_by_its_path_without_the_package() -> None:
    code = (
        "import sys; from importlib.util import *\n"
        f"spec = spec_from_file_location('elsewhere', {str(PACKAGE / 'options' / 'table.py')!r})\n"
        "module = sys.modules['elsewhere'] = module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(len(module.pytest_options()), 'conformance' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == [str(len(pytest_options())), "False"]
