"""Signed snapshots: the bytes of a standing that a scorer may trust.

The body is plain numbers as JSON; the HMAC-SHA256 is checked over the exact bytes before anything
is parsed, so a forged or damaged snapshot never reaches a parser, and nothing is ever unpickled.
"""

import hashlib
import hmac

import msgspec

from needstream.models import standing as standings
from needstream.models.standing import Standing
from needstream.schemas.signals import ModelSnapshot

MAX_BYTES = 1_048_576
"""What a broker takes by default; a pair of 40 features is a fiftieth of it, a forest a tenth."""

LARGEST_BODY_BYTES = 1_000_000
"""What is around the numbers, and the escaped quotes among them, have room in the rest."""

_DECODER = msgspec.json.Decoder(ModelSnapshot)


class SnapshotRefused(ValueError):
    """Raised when a snapshot is unsigned, forged, damaged, or of other features."""


def feature_set(features: tuple[str, ...]) -> str:
    """A short name for an ordered list of features; equal lists have equal names."""
    return hashlib.blake2b("\n".join(features).encode(), digest_size=6).hexdigest()


def sign(standing: Standing, key: bytes) -> ModelSnapshot:
    """The snapshot of a model's standing under the deployment's ``key``.

    Raises:
        ValueError: nobody could read it again, as it is larger than ``MAX_BYTES``.
    """
    body = standings.encode(standing)
    if len(body) > LARGEST_BODY_BYTES:
        problem = f"model {standing.name}: {len(body)} bytes of numbers are too large for a snapshot"
        msg = f"{problem}; declare fewer features or challengers"
        raise ValueError(msg)
    return ModelSnapshot(
        model=standing.name,
        version=standing.version,
        feature_set=feature_set(standing.features),
        examples=standing.labels,
        body=body.decode(),
        mac=_mac(body, key),
    )


def verify(stored: bytes, key: bytes, *, features: tuple[str, ...]) -> Standing:
    """The standing in ``stored``, authenticated and of the expected features.

    Raises:
        SnapshotRefused: says which check failed.
    """
    if len(stored) > MAX_BYTES:
        msg = f"no model snapshot: {len(stored)} bytes, at most {MAX_BYTES} are read"
        raise SnapshotRefused(msg)
    try:
        snapshot = _DECODER.decode(stored)
    except (ValueError, RecursionError) as error:
        msg = f"no model snapshot: {error}"
        raise SnapshotRefused(msg) from error
    body = snapshot.body.encode()
    # As bytes: compare_digest raises for text that is not ASCII.
    if not hmac.compare_digest(_mac(body, key).encode(), snapshot.mac.encode()):
        msg = f"snapshot of model {snapshot.model}: the signature does not match"
        raise SnapshotRefused(msg)
    try:
        standing = standings.decode(body)
    except ValueError as error:
        msg = f"snapshot of model {snapshot.model}: {error}"
        raise SnapshotRefused(msg) from error
    if standing.features != features:
        msg = (
            f"snapshot of model {standing.name} has feature set {feature_set(standing.features)}, "
            f"the pack declares {feature_set(features)}; retrain or restore the pack version"
        )
        raise SnapshotRefused(msg)
    # Only the body is signed: what stands around it must say the same.
    if not _agrees(snapshot, standing):
        msg = f"snapshot of model {snapshot.model}: what stands around the signed numbers contradicts them"
        raise SnapshotRefused(msg)
    return standing


def _agrees(snapshot: ModelSnapshot, standing: Standing) -> bool:
    said = (snapshot.model, snapshot.version, snapshot.feature_set, snapshot.examples)
    return said == (standing.name, standing.version, feature_set(standing.features), standing.labels)


def _mac(body: bytes, key: bytes) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest()
