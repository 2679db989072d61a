"""The sentences with which a guarded call answers."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sexton.core import duration
from sexton.core.instant import Instant, to_datetime
from sexton.core.kind import Kind
from sexton.core.outcome import Code, Outcome
from sexton.core.queue import Refused
from sexton.core.task import Result, Task


def clock_of(instant: Instant, kind: Kind, now: Instant) -> str:
    """A moment in the kind's zone; the day is named unless it is today's."""
    moment, today = (to_datetime(at, ZoneInfo(kind.tz)) for at in (instant, now))
    same_day = moment.date() == today.date()
    return moment.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S")


def refused(kind: Kind, refusal: Refused, anchor: Instant, now: Instant) -> Outcome[None]:
    """The Outcome of a call that found nothing to do."""
    task = refusal.skip.task
    period = refusal.period if kind.has_schedule else ""
    sentence = f"skipped: {_why(kind, refusal, anchor, now)}"
    return Outcome(refusal.skip.code, sentence, period=period, task=task.id if task else None)


def _why(kind: Kind, refusal: Refused, anchor: Instant, now: Instant) -> str:
    task, about = refusal.skip.task, f"period {refusal.period}"
    match refusal.skip.code:
        case "not due":
            return _not_due(kind, refusal, anchor, now)
        case "complete" if task:
            return f"{about} completed at {_ended(task, kind, now)} by {task.host}, task {task.id}"
        case "running" if task:
            at = clock_of(task.started_at or now, kind, now)
            return f"{kind.name} runs since {at} on {task.host}, task {task.id}"
        case "lane" if task:
            return f"its lane is held by {task.kind}, task {task.id} on {task.host}"
        case "gap" if task:
            ends = clock_of(refusal.at or now, kind, now)
            # One that was dated in the future counts as begun earlier.
            began_at = min(task.started_at or now, (refusal.at or now) - kind.min_gap_us)
            started = clock_of(began_at, kind, now)
            gap = duration.say(kind.min_gap_us)
            return f"the last success, task {task.id}, began at {started}; {gap} later is {ends}"
        case "expired":
            last = f", task {task.id}" if task else ""
            return f"{about} expired before it was done{last}"
        case "exhausted" if task:
            return (
                f"all {task.attempt} attempts at {about} ended Aborted, the last is task {task.id}"
            )
        case "aborted" if task:
            return f"{about} was ended by a person, task {task.id}: {task.outcome}"
        case code:
            return f"another call was quicker ({code})"


def _not_due(kind: Kind, refusal: Refused, anchor: Instant, now: Instant) -> str:
    first = f"first period {refusal.period}" if refusal.period else "it has no further period"
    since = clock_of(anchor, kind, now)
    return f"not due: new since {since}; {first}; force(reason) to run now"


def _ended(task: Task, kind: Kind, now: Instant) -> str:
    return clock_of(task.ended_at or now, kind, now)


def ended(task: Task, result: Result, *, held: bool) -> Outcome[None]:
    """The Outcome of a call that ran; `held`: whether its end was still its own to write."""
    code: Code = "done" if result.is_ok else "failed"
    about = f"period {task.period}, " if task.period else ""
    what = f"{about}task {task.id}, attempt {task.attempt}"
    if not held:
        code = "lost"
        sentence = f"lost: {what} was settled by somebody else meanwhile ({result.outcome})"
    elif result.is_ok:
        sentence = f"done: {result.outcome} ({what})"
    else:
        sentence = f"{result.reason}: {result.outcome} ({what})"
    return Outcome(code, sentence, counts=dict(result.counts), period=task.period, task=task.id)
