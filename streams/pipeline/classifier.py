"""Events to facts: the small closed vocabulary that counters, scenarios and labels speak.

Facts are ``click.<type>``, ``view.<product>``, ``search.<product>``, ``interest.<product>`` (either of the two),
``<topic>.<product>`` for page topics of the pack, ``form.<product>``, ``apply.<product>``, ``tx.<kind>``,
``tx.salary``, ``feedback.<type>``, ``credit.score``, ``outcome.<outcome>``; and ``customer.activity`` where the pack
says the customer acted. ``session.closed`` is the one fact that no event makes.

An event is first read down to the few words that decide its facts. Those are closed vocabularies, so the plan of the
facts is made once for each combination of words.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from needstream.schemas import events
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.plans import Plan
from needstream.streams.pipeline.vocabulary import ACTIVITY, SALARY

SUBMITTED = frozenset({"submitted", "submit", "complete", "completed"})
_BROWSING = frozenset({"page_view", "click", "feature_use"})
_FORM_NAME = "_application"
_REMEMBERED_PAGES = 4096

Words = tuple[str, str, str | None, str | bool | None]
"""What decides the facts: family and type of the event, product, and the topic of its page or whether it is done.

Of a transaction the last one says whether it is salary.
"""


def classify(event: events.AnyEvent, definitions: Definitions) -> Plan:
    """The facts of an event, without repetition, the most general last, and what they set going."""
    if type(event) is events.Click and event.event_type in _BROWSING:
        return _browsed((event.event_type, event.product, event.url or event.page or ""), definitions)
    read = _READ.get(type(event))
    words = _NO_WORDS if read is None else read(event, definitions)
    return _planned(words, definitions)


@lru_cache(maxsize=_REMEMBERED_PAGES)
def _browsed(seen: tuple[str, str | None, str], definitions: Definitions) -> Plan:
    """The plan of what is done on a page, by its type, the product stated and the address: most events are this.

    Addresses are no closed vocabulary, but few come again and again.
    """
    kind, product, address = seen
    stated = _known(product, definitions)
    known, topic = definitions.page_of(address)
    if known is not None and stated in (None, known):
        return _planned(("click", kind, known, topic), definitions)
    # A stated product wins over the one of the address, and the topic belongs to that.
    return _planned(("click", kind, stated, None), definitions)


def _planned(words: Words, definitions: Definitions) -> Plan:
    plan = definitions.plans.get(words)
    if plan is None:
        facts = _facts(words)
        if definitions.planner.are_activity(facts):
            facts.append(ACTIVITY)
        plan = definitions.plans[words] = definitions.planner.plan(facts)
    return plan


def _facts(words: Words) -> list[str]:
    family, kind, product, detail = words
    facts = []
    if family == "click" and product:
        if kind == "search":
            facts += [f"search.{product}", f"interest.{product}"]
        elif kind == "form_step":
            facts.append(f"apply.{product}" if detail else f"form.{product}")
        else:
            if detail:
                facts.append(f"{detail}.{product}")
            facts += [f"view.{product}", f"interest.{product}"]
    elif family == "tx":
        if product:
            facts.append(f"apply.{product}")
        if detail:
            facts.append(SALARY)
    if family:
        facts.append(f"{family}.{kind}")
    return facts


def _click(event: events.Click, definitions: Definitions) -> Words:
    kind = event.event_type
    if kind == "search":
        return "click", kind, _known(event.product, definitions) or _searched(event.query, definitions), None
    if kind == "form_step":
        product = _known(event.product, definitions) or _formed(event.form, definitions)
        return "click", kind, product, (event.step or "").lower() in SUBMITTED
    return "click", kind, None, None


def _transaction(event: events.Transaction, definitions: Definitions) -> Words:
    kind = event.event_type
    product = _known(event.product, definitions) if kind == "application" else None
    payer = event.counterparty if kind in definitions.salary_kinds else None
    return "tx", kind, product, bool(payer and definitions.salary_payers.search(payer))


def _known(product: str | None, definitions: Definitions) -> str | None:
    return product if product in definitions.products else None


def _formed(form: str | None, definitions: Definitions) -> str | None:
    """The product of ``loan_application``; of ``loan_topup`` too, the word before the first underscore."""
    name = form or ""
    return _known(name.removesuffix(_FORM_NAME), definitions) or _known(name.partition("_")[0], definitions)


def _searched(query: str | None, definitions: Definitions) -> str | None:
    words = (query or "").lower()
    for product, keywords in definitions.keywords:
        for keyword in keywords:
            if keyword in words:
                return product
    return None


_NO_WORDS: Words = ("", "", None, None)
_READ: dict[type, Callable[[Any, Definitions], Words]] = {
    events.Click: _click,
    events.Transaction: _transaction,
    events.Feedback: lambda event, _: ("feedback", event.event_type, None, None),
    events.CreditScore: lambda _, __: ("credit", "score", None, None),
    events.Outcome: lambda event, _: ("outcome", event.outcome, None, None),
}
