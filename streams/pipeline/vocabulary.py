"""The closed vocabulary of facts: what a pack can be about.

Facts are made by ``classifier``; counters, scenarios, absences and label rules refer to them by name. A name that
nothing ever makes would be a rule that silently never fires, so it is refused when the pack is loaded.
"""

from typing import get_args

from needstream.models import features
from needstream.schemas import events
from needstream.schemas import pack as packs
from needstream.streams.pipeline.refusals import DefinitionError

ACTIVITY = "customer.activity"
SESSION_CLOSED = "session.closed"
SALARY = "tx.salary"
IDENTIFY = "click.identify"
CREDIT_SCORE = "credit.score"

AMOUNT = "amount."
"""What the counter of an amount is called: ``amount.tx.deposit`` adds up what ``tx.deposit`` counts."""

_OF_A_PRODUCT = ("view", "search", "interest", "form", "apply")
_AMOUNTS = ("amount_30d", "monthly")
_OF_A_FORM = "hours_open"


class Vocabulary:
    """The facts of one pack, by family: ``click``, ``tx``, ``view`` and so on."""

    def __init__(self, pack: packs.Pack) -> None:
        self.products = tuple(pack.products)
        self.families: dict[str, frozenset[str]] = {
            "click": _said(events.ClickType),
            "tx": _said(events.TransactionType) | ({"salary"} if pack.salary else set()),
            "feedback": _said(events.FeedbackType),
            "outcome": _said(events.OutcomeType),
            "credit": frozenset({"score"}),
            "session": frozenset({"closed"}),
            "customer": frozenset({"activity"}),
            **{family: frozenset(pack.products) for family in _OF_A_PRODUCT},
        }
        topics: dict[str, set[str]] = {}
        for index, rule in enumerate(pack.pages):
            if rule.topic is None:
                continue
            if rule.topic in self.families:
                place = f"pages[{index}].topic"
                reserved = ", ".join(sorted(self.families))
                raise DefinitionError(place, f"{rule.topic!r} is the name of a family; these are reserved: {reserved}")
            topics.setdefault(rule.topic, set()).add(rule.product)
        self.families |= {topic: frozenset(products) for topic, products in topics.items()}

    def check_pattern(self, pattern: str, place: str) -> None:
        """Refuse a pattern that is neither a fact nor ``family.*``.

        Raises:
            DefinitionError: lists the families, or the facts of the family.
        """
        family, _, name = pattern.partition(".")
        if name != "*":
            self.check_fact(pattern, place)
        elif family not in self.families:
            raise DefinitionError(place, f"{pattern!r} is of no family of facts; families are {self._listed()}")

    def check_fact(self, fact: str, place: str) -> None:
        """Refuse what is no fact.

        Raises:
            DefinitionError: lists the families, or the facts of the family.
        """
        family, _, name = fact.partition(".")
        known = self.families.get(family)
        if known is None:
            raise DefinitionError(place, f"{fact!r} is of no family of facts; families are {self._listed()}")
        if name not in known:
            valid = ", ".join(f"{family}.{each}" for each in sorted(known))
            raise DefinitionError(place, f"{fact!r} is no fact; of this family there are {valid}")

    def check_feature(self, name: str, place: str) -> None:
        """Refuse a feature of a fact that does not occur, or of an amount that no transaction carries.

        Raises:
            DefinitionError: lists what would be valid.
        """
        try:
            described = features.describe(name)
        except features.UnknownFeature as error:
            raise DefinitionError(place, str(error)) from error
        fact = name.partition(".")[2]
        if not described.takes_fact:
            return
        if described.family == _OF_A_FORM:
            if fact not in self.products:
                raise DefinitionError(place, f"{fact!r} is no product; products are {', '.join(self.products)}")
            return
        self.check_fact(fact, place)
        if described.family in _AMOUNTS and (not fact.startswith("tx.") or fact in (SALARY, "tx.balance")):
            kinds = sorted(self.families["tx"] - {"salary", "balance"})
            valid = ", ".join(f"tx.{kind}" for kind in kinds)
            raise DefinitionError(place, f"{fact!r} has no amount to add up; these have: {valid}")

    def counters_of(self, feature: str) -> tuple[str, ...]:
        """The counters that a (checked) feature reads."""
        family, _, fact = feature.partition(".")
        if family == _OF_A_FORM:
            return f"form.{fact}", f"apply.{fact}"
        if family in _AMOUNTS:
            return (f"{AMOUNT}{fact}",)
        return (fact,) if fact else ()

    def check_product(self, product: str, place: str) -> None:
        """Refuse a product the pack does not list.

        Raises:
            DefinitionError: lists the products.
        """
        if product not in self.products:
            raise DefinitionError(place, f"{product!r} is no product; products are {', '.join(self.products)}")

    def _listed(self) -> str:
        return ", ".join(sorted(self.families))


def _said(literal: object) -> frozenset[str]:
    """The words of a ``Literal`` type."""
    words: tuple[str, ...] = get_args(literal)
    return frozenset(words)
