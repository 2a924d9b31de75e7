"""A bank's call log as tasks: is the call given up, does the customer call again within a day?

In goes the log, out come the tasks. A question is asked when a call begins and the menu has identified the
caller: of this call only customer and priority are known, of earlier calls what had happened by then. Calls that came
to nothing (``PHANTOM``) are neither asked about nor counted, though that is known only afterwards.
"""

import itertools
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from math import cos, pi, sin
from pathlib import Path

import msgspec
from bench.quality.task import DAY_S, HOUR_S, MINUTE_S, Question, Row, Task, dense, in_order

from needstream.simulation.adapters import converted

SOURCE = 'bank_calls: "Anonymous Bank", I. Guedj and A. Mandelbaum, Technion (1999-02-01 to 02-19)'
LICENCE = "no licence stated, published for research"
NEVER_HOURS = 480.0
NOTE = "calls that came to nothing (PHANTOM) are left out, which is known only after they began"

_BEGINS, _QUEUES, _LEAVES_QUEUE, _ENDS = range(4)
_NOBODY = "0"
_MANY = 20


class _Call(msgspec.Struct):
    customer: str
    priority: str
    kind: str
    begins: float
    queues: float | None
    leaves_queue: float | None
    ends: float
    given_up: bool
    service_s: float

    def wait_s(self) -> float:
        return self.leaves_queue - self.queues if self.queues is not None and self.leaves_queue is not None else 0.0


class _Customer(msgspec.Struct):
    begun: list[float] = msgspec.field(default_factory=list)
    ended: list[_Call] = msgspec.field(default_factory=list)


class _Centre:
    """What the contact centre knows as time goes on."""

    def __init__(self) -> None:
        self.customers: dict[str, _Customer] = {}
        self.in_progress = 0
        self.waiting = 0
        self._begun: deque[float] = deque()
        self._ended: deque[_Call] = deque()

    def meet(self, step: int, call: _Call) -> None:
        customer = self.customers.setdefault(call.customer, _Customer())
        if step == _BEGINS:
            self.in_progress += 1
            self._begun.append(call.begins)
            customer.begun.append(call.begins)
        elif step == _QUEUES:
            self.waiting += 1
        elif step == _LEAVES_QUEUE:
            self.waiting -= 1
        else:
            self.in_progress -= 1
            self._ended.append(call)
            customer.ended.append(call)

    def row(self, call: _Call) -> Row:
        now = call.begins
        moment = datetime.fromtimestamp(now, UTC)
        angle = 2 * pi * (now % DAY_S) / DAY_S
        while self._begun and self._begun[0] <= now - HOUR_S:
            self._begun.popleft()
        while self._ended and self._ended[0].ends <= now - HOUR_S:
            self._ended.popleft()
        newest = [each for each in self._ended if each.ends > now - 15 * MINUTE_S]
        row = {
            "hour": (now % DAY_S) / HOUR_S,
            "hour_sin": sin(angle),
            "hour_cos": cos(angle),
            f"weekday={moment.weekday()}": 1.0,
            f"priority={call.priority}": 1.0,
            "in_progress": float(self.in_progress),
            "waiting": float(self.waiting),
            "begun_5min": float(sum(at > now - 5 * MINUTE_S for at in self._begun)),
            "begun_15min": float(sum(at > now - 15 * MINUTE_S for at in self._begun)),
            "begun_1h": float(len(self._begun)),
            "given_up_15min": _mean([each.given_up for each in newest]),
            "given_up_1h": _mean([each.given_up for each in self._ended]),
            "wait_15min_s": _mean([each.wait_s() for each in newest]),
            "wait_1h_s": _mean([each.wait_s() for each in self._ended]),
            "service_1h_s": _mean([each.service_s for each in self._ended]),
        }
        if call.customer != _NOBODY:
            row |= _own(self.customers.get(call.customer, _Customer()), now)
        else:
            row["hours_since_call"] = NEVER_HOURS
        return row


def tasks(path: Path) -> Iterator[Task]:
    """Abandonment of every call, and repeat calls of identified customers."""
    calls = [_call(row) for row in converted.rows(path) if row["outcome"] != "PHANTOM"]
    asked = _asked(calls)
    features, vectors = dense(row for _, row in asked)
    end = max(call.begins for call in calls)
    begun: dict[str, list[float]] = {}
    for call, _ in asked:
        begun.setdefault(call.customer, []).append(call.begins)
    given_up, again = [], []
    for (call, _), values in zip(asked, vectors, strict=True):
        # A fixed age for both classes: who hangs up is known sooner, and would come first.
        known = max(call.begins + HOUR_S, call.leaves_queue or 0.0)
        given_up.append(Question(call.begins, known, values, call.given_up))
        due = call.begins + DAY_S
        if call.customer != _NOBODY and due <= end:
            moments = begun[call.customer]
            repeats = bisect_right(moments, due) > bisect_right(moments, call.begins)
            again.append(Question(call.begins, due, values, repeats))
    for name, delay, questions in (("calls abandonment", "1 h", given_up), ("calls repeat 24 h", "24 h", again)):
        yield Task(
            name=name,
            group=name,
            source=SOURCE,
            licence=LICENCE,
            delay=delay,
            features=features,
            questions=in_order(questions),
            recency="hours_since_call",
            note=NOTE,
        )


def _call(row: dict[str, str]) -> _Call:
    text = row["date"]
    midnight = datetime(1900 + int(text[:2]), int(text[2:4]), int(text[4:6]), tzinfo=UTC).timestamp()
    begins = _seconds(row["vru_entry"])

    def at(column: str) -> float | None:
        seconds = _seconds(row[column])
        if not seconds:
            return None
        # A call across midnight goes on with the times of the next day.
        return midnight + seconds + (DAY_S if seconds < begins - DAY_S / 2 else 0.0)

    steps = [at(column) for column in ("vru_exit", "q_start", "q_exit", "ser_exit")]
    queues, leaves_queue = steps[1], steps[2]
    waited = queues is not None and leaves_queue is not None and leaves_queue >= queues
    return _Call(
        customer=row["customer_id"],
        priority=row["priority"],
        kind=row["type"],
        begins=midnight + begins,
        queues=queues if waited else None,
        leaves_queue=leaves_queue if waited else None,
        ends=max(midnight + begins, *(step for step in steps if step is not None)),
        given_up=row["outcome"] == "HANG",
        service_s=max(0.0, float(row["ser_time"])),
    )


def _asked(calls: list[_Call]) -> list[tuple[_Call, Row]]:
    """Every call with what was known when it began; what happens in that very second is not."""
    steps: list[tuple[float, bool, int, int]] = []
    for place, call in enumerate(calls):
        steps += [(call.begins, False, place, _BEGINS), (call.ends, True, place, _ENDS)]
        if call.queues is not None and call.leaves_queue is not None:
            steps += [(call.queues, True, place, _QUEUES), (call.leaves_queue, True, place, _LEAVES_QUEUE)]
    centre = _Centre()
    asked = []
    for _, _, place, step in sorted(steps):
        if step == _BEGINS:
            asked.append((calls[place], centre.row(calls[place])))
        centre.meet(step, calls[place])
    return asked


def _own(customer: _Customer, now: float) -> Row:
    begun, ended = customer.begun, customer.ended
    gaps = [later - sooner for sooner, later in itertools.pairwise(begun)]
    row = {
        "identified": 1.0,
        "calls": float(min(_MANY, len(begun))),
        "first_call": float(not begun),
        "hours_since_call": min(NEVER_HOURS, (now - begun[-1]) / HOUR_S) if begun else NEVER_HOURS,
        "mean_gap_hours": _mean(gaps) / HOUR_S if gaps else NEVER_HOURS,
        "calls_24h": float(len(begun) - bisect_right(begun, now - DAY_S)),
        "calls_72h": float(len(begun) - bisect_right(begun, now - 3 * DAY_S)),
        "given_up_before": _mean([each.given_up for each in ended]),
    }
    if ended:
        last = ended[-1]
        row |= {
            "last_given_up": float(last.given_up),
            "last_wait_s": last.wait_s(),
            "last_service_s": last.service_s,
            f"last_kind={last.kind}": 1.0,
        }
    return row


def _mean(numbers: list[float] | list[bool]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return int(hours) * HOUR_S + int(minutes) * MINUTE_S + int(seconds)
