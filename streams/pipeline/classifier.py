"""Events to facts: the small closed vocabulary that counters, scenarios and labels speak.

Facts are ``click.<type>``, ``view.<product>``, ``search.<product>``, ``interest.<product>`` (either of the two),
``<topic>.<product>`` for page topics of the pack, ``form.<product>``, ``apply.<product>``, ``tx.<kind>``,
``tx.salary``, ``feedback.<type>``, ``credit.score``, ``outcome.<outcome>``; and ``customer.activity`` where the pack
says the customer acted. ``session.closed`` is the one fact that no event makes.
"""

from needstream.schemas import events
from needstream.streams.pipeline.definitions import Definitions
from needstream.streams.pipeline.vocabulary import ACTIVITY, CREDIT_SCORE, SALARY

SUBMITTED = frozenset({"submitted", "submit", "complete", "completed"})
_BROWSING = frozenset({"page_view", "click", "feature_use"})
_FORM_NAME = "_application"


def classify(event: events.AnyEvent, definitions: Definitions) -> list[str]:
    """The facts of an event, without repetition, the most general last."""
    if isinstance(event, events.Click):
        facts = _click(event, definitions)
    elif isinstance(event, events.Transaction):
        facts = _transaction(event, definitions)
    elif isinstance(event, events.Feedback):
        facts = [f"feedback.{event.event_type}"]
    elif isinstance(event, events.CreditScore):
        facts = [CREDIT_SCORE]
    elif isinstance(event, events.Outcome):
        facts = [f"outcome.{event.outcome}"]
    else:
        return []
    for fact in facts:
        if definitions.activity.of(fact):
            facts.append(ACTIVITY)
            break
    return facts


def _click(event: events.Click, definitions: Definitions) -> list[str]:
    facts = []
    if event.event_type == "search":
        product = _known(event.product, definitions) or _searched(event.query, definitions)
        if product:
            facts += [f"search.{product}", f"interest.{product}"]
    elif event.event_type == "form_step":
        product = _known(event.product, definitions) or _formed(event.form, definitions)
        if product:
            done = (event.step or "").lower() in SUBMITTED
            facts.append(f"apply.{product}" if done else f"form.{product}")
    elif event.event_type in _BROWSING:
        product, topic = _paged(event, definitions)
        if product:
            if topic:
                facts.append(f"{topic}.{product}")
            facts += [f"view.{product}", f"interest.{product}"]
    facts.append(f"click.{event.event_type}")
    return facts


def _transaction(event: events.Transaction, definitions: Definitions) -> list[str]:
    kind = event.event_type
    facts = []
    if kind == "application":
        product = _known(event.product, definitions)
        if product:
            facts.append(f"apply.{product}")
    salary = definitions.salary
    if salary and kind in salary[0] and event.counterparty and salary[1].search(event.counterparty):
        facts.append(SALARY)
    facts.append(f"tx.{kind}")
    return facts


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


def _paged(event: events.Click, definitions: Definitions) -> tuple[str | None, str | None]:
    """Product and topic of a page; a stated product wins over the one of its address."""
    stated = _known(event.product, definitions)
    product, topic = definitions.page_of(event.url or event.page or "")
    if product is not None and stated in (None, product):
        return product, topic
    return stated, None
