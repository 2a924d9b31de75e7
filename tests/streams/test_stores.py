"""Local stores: snapshots and their offset go together, damage is seen, and a folder that cannot be used is refused."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import rocksdict
from faust.stores import rocksdb

from needstream.schemas import state as states
from needstream.streams import changelog, tables
from needstream.streams.state_folder import StateFolder
from needstream.streams.stores import (
    MARK,
    OFFSET_KEY,
    Bookmark,
    MemoryPartition,
    PartitionStore,
    RocksPartition,
    StoreDamaged,
    StoreRefused,
    check_version,
)


@pytest.fixture(params=["memory", "rocksdict"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PartitionStore]:
    made = MemoryPartition() if request.param == "memory" else RocksPartition(tmp_path / "s.db")
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StateFolder]:
    made = StateFolder(tmp_path / "state", "customer-states")
    made.prepare()
    yield made
    made.close()


def _snapshot(customer_id: str) -> bytes:
    state = states.new_customer(customer_id, 1_000)
    state.recent_ids = os.urandom(512)
    return states.snapshot(state)


def _filled(folder: StateFolder, partition: int = 0, *, customers: int = 4_000) -> Path:
    """A store on disk with files large enough to be damaged in the middle."""
    store = folder.open(partition)
    ids = [f"c{number:05d}" for number in range(customers)]
    store.write({customer_id: _snapshot(customer_id) for customer_id in ids}, customers - 1)
    store.close()
    return store.path


# -- snapshots and their offset --------------------------------------------------------------------------------------


def test_what_was_written_is_read_and_what_was_removed_is_not(store: PartitionStore) -> None:
    store.write({"a": b"1", "b": b"2", "c": b"3"}, 2)
    store.write({"b": None, "a": b"4"}, 4)

    assert [b"4", None, b"3"] == [store.get(customer) for customer in "abc"]
    assert [("a", b"4"), ("c", b"3")] == sorted(store.items())


def test_the_bookmark_moves_with_the_records_next_to_it(store: PartitionStore) -> None:
    store.write({"a": b"1", "b": b"2"}, 1)
    store.write({"a": None}, 2)

    assert 2 == store.bookmark.through


def test_the_bookmark_stays_where_records_of_somebody_else_are_in_between(store: PartitionStore) -> None:
    """Also for everything behind them: only a restore reads what is missing."""
    store.write({"a": b"1"}, 0)
    store.write({"a": b"2"}, 2)
    store.write({"a": b"3"}, 3)

    assert 0 == store.bookmark.through
    assert b"3" == store.get("a")


def test_records_read_back_move_the_bookmark_over_what_compaction_removed(store: PartitionStore) -> None:
    store.take([(b"a", b"1"), (b"b", b"2")], 7)
    store.take([(b"b", None)], 11)

    assert 11 == store.bookmark.through
    assert [("a", b"1")] == list(store.items())


def test_a_reopened_store_knows_its_snapshots_and_its_bookmark(tmp_path: Path) -> None:
    store = RocksPartition(tmp_path / "s.db")
    store.write({"a": b"1"}, 0)
    store.note_in_step(0, at_ms=5, changelog="app-customer-states-changelog id")
    store.close()

    reopened = RocksPartition(tmp_path / "s.db")

    assert Bookmark(0, 5, "app-customer-states-changelog id") == reopened.bookmark
    assert [("a", b"1")] == list(reopened.items())
    reopened.close()


def test_the_offset_is_where_and_as_faust_keeps_it(tmp_path: Path) -> None:
    store = RocksPartition(tmp_path / "s.db")
    store.take([(b"a", b"1")], 41)
    store.close()

    raw = rocksdict.Rdict(str(tmp_path / "s.db"), options=rocksdict.Options(raw_mode=True))

    assert rocksdb.Store.offset_key == OFFSET_KEY
    assert b"41" == raw.get(rocksdb.Store.offset_key)
    raw.close()


def test_a_killed_process_leaves_snapshots_and_offset_that_belong_together(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from needstream.streams.stores import RocksPartition
store = RocksPartition(Path({str(tmp_path)!r}) / "s.db")
for offset in range(1000):
    store.write({{"a": b"%d" % offset}}, offset)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)

    store = RocksPartition(tmp_path / "s.db")

    assert -signal.SIGKILL == ended.returncode
    assert (999, b"999") == (store.bookmark.through, store.get("a"))
    store.close()


def test_nothing_stored_is_new_and_one_snapshot_without_an_offset_is_not(store: PartitionStore) -> None:
    assert store.is_new

    store.write({"a": b"1"}, 100)

    assert (None, False) == (store.bookmark.through, store.is_new)


def test_a_store_closed_while_somebody_reads_can_be_opened_again(folder: StateFolder) -> None:
    _filled(folder, customers=10)
    store = folder.open(0)
    reading = store.items()
    next(reading)
    store.close()

    again = folder.open(0)

    assert [] == list(reading)
    assert 10 == len(list(again.items()))
    again.close()


# -- versions --------------------------------------------------------------------------------------------------------


def test_states_that_this_program_reads_pass() -> None:
    check_version(_snapshot("c1"))
    check_version(msgspec.msgpack.encode([states.OLDEST_READ, "c1", 0, 0]))


@pytest.mark.parametrize("stored", [msgspec.msgpack.encode([states.STATE_VERSION + 1, "c1", 0, 0]), b"", b"{}"])
def test_states_that_this_program_cannot_read_are_refused_and_stay(folder: StateFolder, stored: bytes) -> None:
    store = folder.open(0)
    store.write({"a": _snapshot("a"), "b": stored}, 1)

    with pytest.raises(states.StateVersionError):
        list(store.verify())

    assert stored == store.get("b")
    store.close()


# -- damage ----------------------------------------------------------------------------------------------------------


def _truncate_a_table(path: Path) -> None:
    table = min(path.glob("*.sst"))
    os.truncate(table, table.stat().st_size // 2)


def _overwrite_the_middle_of_a_table(path: Path) -> None:
    table = min(path.glob("*.sst"))
    with table.open("r+b") as opened:
        opened.seek(table.stat().st_size // 2)
        opened.write(bytes(64))


def _delete_a_table(path: Path) -> None:
    min(path.glob("*.sst")).unlink()


def _delete_current(path: Path) -> None:
    (path / "CURRENT").unlink()


def _delete_the_manifest(path: Path) -> None:
    min(path.glob("MANIFEST-*")).unlink()


DAMAGES: list[Callable[[Path], None]] = [
    _truncate_a_table,
    _overwrite_the_middle_of_a_table,
    _delete_a_table,
    _delete_current,
    _delete_the_manifest,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen_when_everything_is_read_once_and_names_the_folder(
    folder: StateFolder, damage: Callable[[Path], None]
) -> None:
    path = _filled(folder)
    damage(path)

    with pytest.raises(StoreDamaged, match=str(path)):
        _read_all(folder)


def _read_all(folder: StateFolder) -> None:
    store = folder.open(0)
    try:
        list(store.verify())
    finally:
        store.close()


def test_a_block_that_cannot_be_read_later_is_damage_and_never_a_missing_customer(folder: StateFolder) -> None:
    path = _filled(folder)
    store = folder.open(0)
    _overwrite_the_middle_of_a_table(path)

    with pytest.raises(StoreDamaged):
        [store.get(f"c{number:05d}") for number in range(4_000)]
    with pytest.raises(StoreDamaged):
        list(store.items())
    store.close()


def test_a_store_once_found_damaged_is_not_opened_again(folder: StateFolder) -> None:
    path = _filled(folder)
    (path / MARK).touch()

    with pytest.raises(StoreDamaged, match="marked"):
        folder.open(0)


def test_of_the_damaged_stores_moved_aside_the_newest_is_kept(folder: StateFolder) -> None:
    for customers in (10, 20, 30):
        _filled(folder, customers=customers)
        aside = folder.set_aside(0)

    assert "customer-states-0.db.damaged-3" == aside.name
    assert [aside.name] == [path.name for path in aside.parent.iterdir()]


def test_a_store_that_another_process_holds_is_refused_and_not_damaged(folder: StateFolder) -> None:
    path = _filled(folder, customers=10)
    program = f"""
from pathlib import Path
from needstream.streams.stores import RocksPartition
store = RocksPartition(Path({str(path)!r}))
print("open", flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()

        with pytest.raises(StoreRefused, match="in use by another process"):
            folder.open(0)
        other.communicate(b"\n")

    folder.open(0).close()


def test_a_discarded_store_is_gone_and_others_are_not(folder: StateFolder) -> None:
    _filled(folder, 0, customers=10)
    _filled(folder, 11, customers=10)

    folder.discard(0)
    folder.discard(5)

    assert [11] == folder.partitions()


# -- the disk --------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_refused_with_what_to_do_and_the_store_goes_on_where_it_was(tmp_path: Path) -> None:
    """A limit of file sizes stands in for a full disk: both end a write in the middle."""
    program = f"""
import resource, sys
from pathlib import Path
from needstream.streams.stores import RocksPartition, StoreRefused
store = RocksPartition(Path({str(tmp_path)!r}) / "s.db")
store.write({{"a": b"before"}}, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    store.write({{"a": bytes(100_000)}}, 1)
except StoreRefused as error:
    sys.exit(str(error))
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)

    store = RocksPartition(tmp_path / "s.db")

    assert 1 == ended.returncode, ended.stderr
    assert "raise the limit of file sizes" in ended.stderr
    assert "nothing is lost" in ended.stderr
    assert (0, b"before") == (store.bookmark.through, store.get("a"))
    store.close()


@pytest.mark.parametrize("place", ["state", "state/below"])
def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "state").write_text("mine")

    with pytest.raises(StoreRefused, match="is not a folder"):
        StateFolder(tmp_path / place, "customer-states").prepare()

    assert "mine" == (tmp_path / "state").read_text()


def test_a_folder_that_cannot_be_written_to_is_refused() -> None:
    """Nobody can make a folder in /proc, not even root."""
    with pytest.raises(StoreRefused, match="cannot be written to"):
        StateFolder(Path("/proc/needstream"), "customer-states").prepare()


def test_a_folder_has_one_worker_at_a_time(tmp_path: Path) -> None:
    first = StateFolder(tmp_path, "customer-states")
    first.prepare()

    with pytest.raises(StoreRefused, match="in use by another worker"):
        StateFolder(tmp_path, "customer-states").prepare()
    first.close()

    second = StateFolder(tmp_path, "customer-states")
    second.prepare()
    second.close()


# -- staleness -------------------------------------------------------------------------------------------------------

DAY_MS = 24 * 60 * 60 * 1000
FACTS = changelog.Facts("app-customer-states-changelog", "app-customer-states-changelog id", DAY_MS)
NOW_MS = 100 * DAY_MS


@pytest.mark.parametrize(
    ("bookmark", "reason"),
    [
        (Bookmark(99, NOW_MS - 50 * DAY_MS, FACTS.identity), None),
        (Bookmark(90, NOW_MS - DAY_MS // 2, FACTS.identity), None),
        (Bookmark(9, NOW_MS - 1, FACTS.identity), None),
        (Bookmark(8, NOW_MS - 1, FACTS.identity), "no longer has the records"),
        (Bookmark(90, NOW_MS - DAY_MS, FACTS.identity), "away for so long"),
        (Bookmark(90, None, FACTS.identity), "away for so long"),
        (Bookmark(100, NOW_MS - 1, FACTS.identity), "ahead of the changelog"),
        (Bookmark(90, NOW_MS - 1, "app-customer-states-changelog other"), "another changelog"),
        (Bookmark(None, NOW_MS - 1, FACTS.identity), "does not say"),
    ],
)
def test_a_store_that_may_lack_a_removal_is_not_completed(bookmark: Bookmark, reason: str | None) -> None:
    """The changelog holds the offsets 10 to 99 and keeps the mark of a removal for a day."""
    why = tables.stale(bookmark, changelog.Extent(10, 100), facts=FACTS, now_ms=NOW_MS)

    assert reason is None if why is None else reason is not None and reason in why
