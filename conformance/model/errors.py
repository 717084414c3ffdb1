"""The exceptions of Hookproof, split by whose fault they are.

A verdict is never an exception: what a target does wrong, and what could not be judged, are values in
the report. `InputError` means that the run cannot be set up as the user asked, `HarnessError` that one
case cannot be carried out.
"""

from __future__ import annotations

from conformance.model.sentence import Sentence, Value


class _ExplainedError(Exception):
    """An exception that holds a sentence: `InputError("{path} is not a trace", path=str(path))`.

    A whole sentence may take the template's place. `str` is the English text.
    """

    def __init__(self, template: str | Sentence, /, **parameters: Value) -> None:
        self.sentence = Sentence(template, **parameters) if isinstance(template, str) else template
        super().__init__(self.sentence)


class InputError(_ExplainedError):
    """The user's input is wrong: an option, a file, a scenario or a dialect.

    The text is one line that names the thing, the place and the next step. The command line prints
    it and exits with status 2.
    """


class HarnessError(_ExplainedError):
    """A step failed for a reason that is not the target's fault: the outcome of its case is `error`."""
