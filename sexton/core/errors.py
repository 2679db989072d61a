"""Every error that Sexton raises, each with its exit code and, where someone can act, a hint.

One root, so that a caller can tell ours from theirs. What is merely refused (a period that is
done, a lane that is busy) is no error: it is an `Outcome`.
"""

from __future__ import annotations

DONE = 0
TASK_FAILED = 1
USAGE = 2
STORE_UNREACHABLE = 75  # EX_TEMPFAIL of sysexits.h: try again later
CONFIGURATION = 78  # EX_CONFIG of sysexits.h: a person has to mend something


class SextonError(Exception):
    """Root of all errors of Sexton; `str()` is one sentence that names the thing.

    `exit_code` is what a command ends with; `hint` says what to do now, or is empty.
    """

    exit_code = TASK_FAILED
    hint = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint


class UsageError(SextonError):
    """A command or a call was given words that it does not take."""

    exit_code = USAGE


class ConfigurationError(SextonError):
    """The settings file, the environment or a declaration cannot be used as it is."""

    exit_code = CONFIGURATION


class DeclarationError(ConfigurationError):
    """A kind was declared in a way that could not keep its promises."""


class ScheduleError(ConfigurationError):
    """A schedule, a zone or an interval names no moments; the message names the field."""


class DurationError(ConfigurationError):
    """A length of time cannot be read, or is not allowed here."""


class PayloadError(UsageError):
    """A payload does not fit its kind; the message names the field."""


class ValueRefused(UsageError):
    """A value cannot be kept in, or read from, the key-value store as the type asked for."""


class UnknownKind(UsageError):
    """No kind of this name is registered."""


class UnknownTask(UsageError):
    """No task has this id."""


class StoreError(SextonError):
    """The store could not be reached, read or written: nothing was begun."""

    exit_code = STORE_UNREACHABLE


class StoreBusy(StoreError):
    """Others held the store for longer than the bound."""

    hint = "Try again; if it stays so, some program, perhaps this one, keeps a transaction open."


class StoreMissing(ConfigurationError):
    """The store's file was there before and has gone."""


class SchemaError(ConfigurationError):
    """The store belongs to another version of Sexton, or to another program."""


class Fenced(SextonError):
    """The task that this process was running has been settled by somebody else.

    Whatever it reports from now on is kept as evidence on its own row and changes nothing.
    """

    hint = "Another attempt may be running already: stop here."


class Permanent(Exception):  # noqa: N818 -- a word users raise: `raise sexton.Permanent("no such mailbox")`
    """Raised by an effect: this item cannot succeed, do not try it again."""
