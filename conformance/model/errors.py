"""The exceptions of Hookproof, split by whose fault they are.

A verdict is never an exception: what a target does wrong, and what could not be judged, are values in
the report. `InputError` means that the run cannot be set up as the user asked, `HarnessError` that one
case cannot be carried out.
"""


class InputError(Exception):
    """The user's input is wrong: an option, a file, a scenario or a dialect.

    The text is one line that names the thing, the place and the next step. The command line prints
    it and exits with status 2.
    """


class HarnessError(Exception):
    """A step failed for a reason that is not the target's fault: the outcome of its case is `error`."""
