"""`python -m conformance` is `hookproof`."""

from conformance.cli import main

main(prog_name="hookproof")
