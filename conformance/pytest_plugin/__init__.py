"""The suites as pytest items. The entry point, with the options and the fixtures, is `hookproof_pytest`."""
