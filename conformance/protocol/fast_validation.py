"""Fast validation of messages, for where there are many of them.

`validation` is the authority and says what is wrong with a message; jsonschema-rs, where it is
installed, only says whether anything is. A test ensures that both agree.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from conformance.protocol import resources
from conformance.protocol.validation import SUFFIX, message_problems, schema_of, validator

try:
    import jsonschema_rs
except ImportError:
    jsonschema_rs = None  # type: ignore[assignment]


def message_fits(message: object) -> bool:
    """Whether `message_problems` finds no problem in `message`."""
    if jsonschema_rs is not None:
        try:
            return bool(_fast_validator(schema_of(message)).is_valid(message))
        except ValueError:  # a lone surrogate, or a number out of its range
            pass
    return not message_problems(message)


@cache
def _fast_validator(name: str) -> Any:
    """The validator of the schema `name`. It resolves references among the files, never on the network."""
    files = resources.folder("schemas").glob(f"message*{SUFFIX}")
    schemas = [json.loads(file.read_bytes()) for file in files]
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in schemas])
    schema: Any = validator(name).schema
    return jsonschema_rs.Draft202012Validator(schema, registry=registry)
