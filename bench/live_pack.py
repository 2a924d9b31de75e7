"""The pack that latencies are measured with: the shipped bank pack and one scenario that fires often.

Everything the bank pack does is done for every event, the models' scores included. The scenario fires at each view of
one page that no simulated customer looks at, so that the load decides how many signals there are.
"""

from importlib import resources
from pathlib import Path
from typing import Any

import yaml

SCENARIO = "latency_probe"
PRODUCT = "probe"
PAGE = "/probe"
REST = b',"event_type":"page_view","url":"%s"}' % PAGE.encode()
"""The bytes of a triggering event behind its customer's id."""

_SCENARIO: dict[str, Any] = {
    "id": SCENARIO,
    "kind": "need",
    "need": PRODUCT,
    "need_class": "basic",
    "treatment": "service",
    "triggered_by": [f"interest.{PRODUCT}"],
    "when": {"feature": f"count_1d.interest.{PRODUCT}", "at_least": 0.5},
    # Armed again at once: each view is a signal of its own.
    "rearm_when": {"feature": f"count_1d.interest.{PRODUCT}", "at_least": 0},
    "alternative_reading": "none, it is a measurement",
    "confidence": 0.5,
    "cooldown": "1ms",
    "expires_after": "1h",
    "action": "none",
    "reasons": ["probe"],
    "text": {"en": "The page was looked at.", "zh": "浏览了该页面。"},
}


def write(folder: Path) -> Path:
    """Write the pack and return its folder."""
    shipped = resources.files("needstream.streams.packs") / "bank"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pack.yaml", "models.yaml", "scenarios.yaml"):
        declared = yaml.safe_load((shipped / name).read_text(encoding="utf-8"))
        if name == "pack.yaml":
            declared["products"].append(PRODUCT)
            declared["pages"].append({"path": PAGE, "product": PRODUCT})
            declared["words"][PRODUCT] = {"en": "probe", "zh": "测试"}
        if name == "scenarios.yaml":
            declared["scenarios"].append(_SCENARIO)
        (folder / name).write_text(yaml.safe_dump(declared, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return folder
