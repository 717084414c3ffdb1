"""What a number may be. Apart from the other values, since a command's help says it too, and must not load
what reads them."""

from __future__ import annotations

import math
from contextlib import suppress

from conformance.model.errors import InputError
from conformance.model.sentence import Sentence
from conformance.options.table import Kind, Option

UNITS = {
    Kind.WHOLE: Sentence("a whole number"),
    Kind.SEED: Sentence("a whole number"),
    Kind.NUMBER: Sentence("a number"),
}


def expected(option: Option) -> Sentence | None:
    """What the value must be; None for an option that is no number."""
    unit = UNITS.get(option.kind)
    if unit is None:
        return None
    low, high = option.low or option.above or 0, option.high
    if option.above is not None and high is not None:
        return Sentence("{unit} above {low:g} and at most {high:g}", unit=unit, low=low, high=high)
    if high is not None:
        return Sentence("{unit} from {low:g} to {high:g}", unit=unit, low=low, high=high)
    if option.above is not None:
        return Sentence("{unit} above {low:g}", unit=unit, low=low)
    return Sentence("{unit} of at least {low:g}", unit=unit, low=low)


def read_number(option: Option, value: object) -> float:
    """The number in a text, or `value` itself. Raises InputError for one out of bounds."""
    whole = option.kind is not Kind.NUMBER
    number: float = math.nan
    if isinstance(value, str | int if whole else str | int | float) and not isinstance(value, bool):
        with suppress(ValueError):
            number = int(value) if whole else float(value)
    low, above, high = option.low, option.above, option.high
    if (
        not math.isfinite(number)
        or (low is not None and number < low)
        or (above is not None and number <= above)
        or (high is not None and number > high)
    ):
        raise InputError(
            "--{flag}: {value!r} is not {expected}",
            flag=option.flag,
            value=value if isinstance(value, int | float) else str(value),
            expected=expected(option) or "",
        )
    return number
