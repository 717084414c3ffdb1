"""`python -m conformance` is `hookproof`."""

from conformance.cli.main import main

main(prog_name="hookproof")
