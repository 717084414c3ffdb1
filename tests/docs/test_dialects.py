"""The page on dialects: the one that it writes signs as it says."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path

from conformance.protocol.dialect import sign
from conformance.scenario.dialects import load
from tests.docs.test_readme import blocks


def test_the_dialect_that_is_printed_signs_as_it_says(tmp_path: Path) -> None:
    (block,) = blocks("docs/dialects.md", "yaml")
    house = tmp_path / "house.yaml"
    house.write_text(block, encoding="utf-8")
    dialect = load(str(house))
    digest = hmac.digest(b"key", b"1700000000000.{}", "sha256")
    assert sign(dialect, b"key", b"1700000000000", b"{}") == base64.b64encode(digest)
