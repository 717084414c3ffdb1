"""The sender suite as pytest items, one for each case of a rule.

`pytest --pyargs conformance --sender-url API_URL --emit-url URL --secret S`, from a checkout
`pytest conformance …`. The plugin makes the items out of this function; a test module of a user's own
may import it instead.
"""

from conformance.model.report import Result
from conformance.pytest_plugin.items import conclude


def test_sender(hookproof_result: Result) -> None:
    """The sender keeps the rule in this case."""
    conclude(hookproof_result)
