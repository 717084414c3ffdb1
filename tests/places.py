"""Where things stand in the checkout, for tests in whatever folder."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGE = ROOT / "conformance"
