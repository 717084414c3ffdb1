"""Whether a message fits the guide, told quickly where many messages pass.

`schema` is the authority, and says what is wrong; jsonschema-rs, where it is installed, only says
whether anything is. A test holds that both agree.
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
    """Whether `message_problems` has nothing to say of `message`."""
    if jsonschema_rs is not None:
        try:
            return bool(_quick(schema_of(message)).is_valid(message))
        except ValueError:  # a lone surrogate, or a number that it cannot hold
            pass
    return not message_problems(message)


@cache
def _quick(name: str) -> Any:
    """The validator of `name`; it finds all that it refers to, and nothing on the network."""
    found = resources.folder("schemas").glob(f"message*{SUFFIX}")
    every = [json.loads(file.read_bytes()) for file in found]
    known = jsonschema_rs.Registry([(each["$id"], each) for each in every])
    schema: Any = validator(name).schema
    return jsonschema_rs.Draft202012Validator(schema, registry=known)
