"""The exceptions of Hookproof, split by whose fault they are.

A verdict is never an exception: what a target does wrong, or what could not be judged, is a value
in the report. An exception here means that the run could not be set up as asked.
"""


class InputError(Exception):
    """Something that the user gave is wrong: an option, a file, a scenario, a dialect.

    The text is one line that names the thing, the place and the next step. The command line prints
    it and exits with status 2.
    """


class HarnessError(Exception):
    """A step could not be carried out for a reason that is not the target's: the case is an `error`."""
