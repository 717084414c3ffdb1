"""Fast validation, for where there are many messages or lines of a capture.

`validation` is the authority and says what is wrong with one; jsonschema-rs, where it is
installed, only says whether anything is. A test ensures that both agree.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from conformance.protocol import resources
from conformance.protocol.validation import SUFFIX, problems, schema_of, validator

try:
    import jsonschema_rs
except ImportError:
    jsonschema_rs = None  # type: ignore[assignment]


def message_fits(message: object) -> bool:
    """Whether `message_problems` finds no problem in `message`."""
    return fits(schema_of(message), message)


def fits(name: str, instance: object) -> bool:
    """Whether `problems` finds nothing in `instance` that keeps it from fitting the schema `name`."""
    if jsonschema_rs is not None:
        try:
            return bool(_fast_validator(name).is_valid(instance))
        except ValueError:  # a lone surrogate, or a number out of its range
            pass
    return not problems(name, instance)


@cache
def _fast_validator(name: str) -> Any:
    """The validator of the schema `name`. It resolves references among the files, never on the network."""
    files = resources.folder("schemas").glob(f"*{SUFFIX}")
    schemas = [json.loads(file.read_bytes()) for file in files]
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in schemas])
    schema: Any = validator(name).schema
    return jsonschema_rs.Draft202012Validator(schema, registry=registry)
