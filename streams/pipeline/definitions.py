"""A domain pack compiled for the pipeline: every lookup a step makes, prepared and checked once at load.

Nothing is half compiled: either the whole pack makes sense, or ``DefinitionError`` says where it does not.
"""

import re
import struct
from urllib.parse import urlsplit

from needstream.models import features, scorer, snapshots
from needstream.schemas import pack as packs
from needstream.schemas.times import parse_duration
from needstream.streams.pipeline import checks, compiled_models, fact_words
from needstream.streams.pipeline.compiled_models import CompiledModel
from needstream.streams.pipeline.compiled_scenarios import CompiledScenario
from needstream.streams.pipeline.conditions import Compiler
from needstream.streams.pipeline.plans import FactIndex, Plan, Planner
from needstream.streams.pipeline.refusals import DefinitionError
from needstream.streams.pipeline.vocabulary import AMOUNT, SESSION_CLOSED, Vocabulary

__all__ = ["CompiledModel", "CompiledScenario", "DefinitionError", "Definitions"]

_AMOUNT_OF = f"{AMOUNT}tx."


class Definitions:
    """Everything a step needs to know about the domain.

    Only what something reads is counted (``counted``): it keeps states small, and remembers of a person no more than
    is used. A counter that a new version of a pack reads for the first time starts at nothing.

    ``plans`` is where ``classifier`` keeps the plan of each kind of event; the words of a kind are closed vocabularies.

    Raises:
        DefinitionError: names the declaration that is impossible or contradicts another one.
    """

    def __init__(self, pack: packs.Pack) -> None:
        self.pack = pack
        self.version = f"{pack.name}-{pack.version}"
        self.vocabulary = Vocabulary(pack)
        self._check_names()
        checks.check_finite(pack.promotion.margin, "promotion.margin")
        self._read_times(pack.time)
        self.longest_session = pack.bots.session_events
        self.hasty_gap_ms = parse_duration(pack.bots.hasty_gap)
        self.quarantine_ms = checks.span(pack.bots.quarantine, "bots.quarantine")
        self.distress_lasts_ms = checks.span(pack.distress_lasts, "distress_lasts")
        self.products = frozenset(pack.products)
        self._pages = sorted(pack.pages, key=lambda rule: -len(rule.path))
        self.keywords = tuple(
            (product, tuple(word.lower() for word in words)) for product, words in pack.keywords.items()
        )
        self.salary_kinds, self.salary_payers = _salary(pack.salary)
        self.caps = {
            cap.treatment: (cap.at_most, checks.positive_span(cap.within, f"caps[{place}].within"))
            for place, cap in enumerate(pack.caps)
        }
        compiler = Compiler(self.vocabulary, self.half_lives_ms)
        self.readings = tuple(compiler.feature(name, f"features[{place}]") for place, name in enumerate(pack.features))
        self.feature_set = snapshots.feature_set(pack.features)
        self.feature_vector = features.compile_vector(pack.features, self.half_lives_ms)
        self.vector = struct.Struct(f"<{len(pack.features)}f")
        self.models = tuple(
            CompiledModel(model, compiler, place=f"models[{place}]", features=pack.features)
            for place, model in enumerate(pack.models)
        )
        self.by_model = {model.name: model for model in self.models}
        self.falls = {model.declared.name: model.fall for model in self.models if model.fall is not None}
        self.corrected = {model.declared.name: model for model in self.models if model.corrects}
        self.suitability = tuple(
            (rule.need, compiler.condition(rule.unless, f"suitability[{place}].unless"))
            for place, rule in enumerate(pack.suitability)
        )
        self.scenarios = tuple(
            CompiledScenario(declared, compiler, place=f"scenarios[{place}]", distressing=declared.id in pack.distress)
            for place, declared in enumerate(pack.scenarios)
        )
        self.by_timer = {scenario.timer: scenario for scenario in self.scenarios}
        self.counted = frozenset(compiler.counted | {SESSION_CLOSED})
        kinds = (fact.removeprefix(_AMOUNT_OF) for fact in self.counted if fact.startswith(_AMOUNT_OF))
        self.amounts = {kind: (f"{_AMOUNT_OF}{kind}",) for kind in kinds}
        self.marks = FactIndex(
            (model.declared.converts_on or model.declared.absence_of, model) for model in self.models
        )
        self.planner = Planner(pack, self.scenarios, counted=self.counted, marks=self.marks)
        self.plans: dict[tuple[str | bool | None, ...], Plan] = {}
        self.session_closed = self.planner.plan((SESSION_CLOSED,))
        self._check_scenarios()
        self._check_models()

    def _read_times(self, declared: packs.TimeRules) -> None:
        first_ms, second_ms, third_ms = (
            float(checks.positive_span(text, f"time.half_lives[{place}]"))
            for place, text in enumerate(declared.half_lives)
        )
        self.half_lives_ms = first_ms, second_ms, third_ms
        self.session_gap_ms = checks.span(declared.session_gap, "time.session_gap")
        self.allowed_lateness_ms = checks.span(declared.allowed_lateness, "time.allowed_lateness")
        self.sample_every_ms = checks.positive_span(declared.sample_every, "time.sample_every")
        self.sample_while_idle_ms = checks.span(declared.sample_while_idle, "time.sample_while_idle")
        self.balance_half_life_ms = float(checks.positive_span(declared.balance_half_life, "time.balance_half_life"))

    def _check_names(self) -> None:
        pack = self.pack
        for index, rule in enumerate(pack.pages):
            self.vocabulary.check_product(rule.product, f"pages[{index}].product")
        for product in pack.keywords:
            self.vocabulary.check_product(product, f"keywords.{product}")
        fact_words.check(pack, self.vocabulary)
        self._check_patterns(pack.activity, "activity")
        self._check_patterns(pack.score_on, "score_on")
        checks.check_unique(pack.features, "features")
        checks.check_unique([model.name for model in pack.models], "models")
        checks.check_unique([cap.treatment for cap in pack.caps], "caps")
        checks.check_unique(
            [each.id if each.product is None else f"{each.id}.{each.product}" for each in pack.scenarios], "scenarios"
        )
        needs = {*pack.needs, *pack.products}
        for index, scenario in enumerate(pack.scenarios):
            if scenario.need not in needs:
                place, valid = f"scenarios[{index}].need", ", ".join(sorted(needs))
                raise DefinitionError(place, f"{scenario.need!r} is no need; choose from {valid}, or add it to needs")
        known = {scenario.id for scenario in pack.scenarios}
        for index, name in enumerate(pack.distress):
            if name not in known:
                valid = ", ".join(sorted(known))
                place = f"distress[{index}]"
                raise DefinitionError(place, f"{name!r} is no scenario; choose from {valid}")

    def _check_patterns(self, patterns: tuple[str, ...], place: str) -> None:
        for index, pattern in enumerate(patterns):
            self.vocabulary.check_pattern(pattern, f"{place}[{index}]")

    def _check_scenarios(self) -> None:
        for index, declared in enumerate(self.pack.scenarios):
            place = f"scenarios[{index}]"
            absence = declared.absence
            self._check_patterns(declared.triggered_by, f"{place}.triggered_by")
            if absence is not None:
                self._check_patterns(absence.armed_by, f"{place}.absence.armed_by")
                self._check_patterns(absence.unless, f"{place}.absence.unless")
            elif not declared.triggered_by:
                raise DefinitionError(place, "needs triggered_by, absence or both")
            elif declared.when is None:
                raise DefinitionError(place, "needs when: without it, it would fire once and never again")
            if declared.product is not None:
                self.vocabulary.check_product(declared.product, f"{place}.product")
            self._check_treatment(declared.treatment, place)

    def _check_models(self) -> None:
        for index, declared in enumerate(self.pack.models):
            place = f"models[{index}]"
            compiled_models.check(declared, place, half_lives_ms=self.half_lives_ms)
            self._check_patterns(declared.converts_on, f"{place}.converts_on")
            self._check_patterns(declared.absence_of, f"{place}.absence_of")
            self._check_treatment(declared.treatment, place)

    def _check_treatment(self, treatment: packs.Treatment, place: str) -> None:
        for section, declared in (("consent", self.pack.consent), ("priority", self.pack.priority)):
            if treatment not in declared:
                valid = ", ".join(sorted(declared))
                place = f"{place}.treatment"
                raise DefinitionError(place, f"{treatment!r} has no {section} rule; there are rules for {valid}")

    def page_of(self, address: str) -> tuple[str | None, str | None]:
        """Product and topic of the longest rule that the path of an address, or a page name, begins with."""
        try:
            path = urlsplit(address).path.lower()
        except ValueError:
            return None, None
        path = path if path.startswith("/") else f"/{path}"
        for rule in self._pages:
            if path.startswith(rule.path.lower()):
                return rule.product, rule.topic
        return None, None

    def readiness(self) -> dict[str, scorer.Readiness]:
        """How many labels each model needs before it speaks, and how old the newest may be."""
        return {
            model.declared.name: scorer.Readiness(
                model.declared.min_labels,
                model.declared.min_positives,
                model.stale_ms,
                model.declared.enter_score,
                tuple(override.enter_score for override in model.declared.overrides),
            )
            for model in self.models
        }


def _salary(declared: packs.Salary | None) -> tuple[frozenset[str], re.Pattern[str]]:
    if declared is None:
        return frozenset(), re.compile("")
    try:
        return frozenset(declared.kinds), re.compile(declared.counterparty)
    except re.error as error:
        place = "salary.counterparty"
        raise DefinitionError(place, f"no regular expression: {error}") from error
