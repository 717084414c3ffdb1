"""The suite in the project."""

from conformance.test_receiver import test_receiver

__all__ = ["test_receiver"]
