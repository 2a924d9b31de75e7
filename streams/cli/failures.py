"""The failures a command answers with one line instead of a traceback."""

from aiokafka.errors import KafkaError as WorkerKafkaError
from kafka.errors import KafkaError

from needstream.models.snapshots import SnapshotRefused
from needstream.schemas.state import StateVersionError
from needstream.streams.brokers import BrokerUnavailable
from needstream.streams.erasing import ReceiptMissing
from needstream.streams.event_files import DamagedFile
from needstream.streams.offset_findings import OffsetsRefused
from needstream.streams.packs.loader import PackRefused
from needstream.streams.receipts import ReceiptRefused
from needstream.streams.rejections import TooManyDeadLetters
from needstream.streams.settings import SettingsRefused
from needstream.streams.stores import StoreDamaged, StoreRefused
from needstream.streams.topic_admin import TopicsRefused

FAILURES: tuple[type[Exception], ...] = (
    BrokerUnavailable,
    DamagedFile,
    KafkaError,
    OSError,
    OffsetsRefused,
    PackRefused,
    ReceiptMissing,
    ReceiptRefused,
    WorkerKafkaError,
    SettingsRefused,
    SnapshotRefused,
    StateVersionError,
    StoreDamaged,
    StoreRefused,
    TooManyDeadLetters,
    TopicsRefused,
)
