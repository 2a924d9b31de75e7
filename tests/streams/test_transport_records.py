"""A header name that is not UTF-8 costs nothing but itself, and what this takes for granted of aiokafka holds."""

import dataclasses
from types import SimpleNamespace

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record import default_records, legacy_records
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from needstream.streams import transport_records
from needstream.streams.transport_records import AnyRecords

UNCOMPRESSED, GZIP = 0, 1


class Raw(str):
    """A name that is sent as bytes of its own."""

    __slots__ = ()

    def encode(self, *_):
        return b"caf\xe9\xff\xc3\xa9"


BAD = Raw("x")
DECODED = "caf\\xe9\\xffé"


def a_batch(*headers, codec=UNCOMPRESSED, base_offset=0):
    """A batch as a producer sends it, with one record for each list of headers."""
    builder = default_records._DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, 0, 1_000_000)
    for number, given in enumerate(headers):
        key, value = (None, None) if number % 3 == 2 else (b"k", b"\xff%d" % number)
        builder.append(number, 1_000 + number, key, value, given)
    built = builder.build()
    default_records._DefaultRecordBatchPy.HEADER_STRUCT.pack_into(
        built, 0, base_offset, *default_records._DefaultRecordBatchPy.HEADER_STRUCT.unpack_from(built)[1:]
    )
    return bytes(built)


def read(parser, fetched, start=0):
    """What a fetch from an offset gives back, and where the next one begins."""
    records = fetcher.PartitionRecords(
        SimpleNamespace(topic="t", partition=0), parser(fetched), [], start, None, None, True, 0
    )
    return list(records), records.next_fetch_offset


GOOD = [[("h", b"\xff")], [("", None), ("é", b"")], [], [("h", b"1"), ("h", b"2")]]


@pytest.mark.parametrize("codec", [UNCOMPRESSED, GZIP])
@pytest.mark.parametrize("place", range(4))
def test_every_record_around_such_a_name_is_as_without_it(place, codec):
    batches = [GOOD, [*GOOD[:place], [("a", b"1"), (BAD, b"2"), (BAD, None)], *GOOD[place:]], GOOD]
    named = [GOOD, [*GOOD[:place], [("a", b"1"), (DECODED, b"2"), (DECODED, None)], *GOOD[place:]], GOOD]
    offsets = (0, 4, 9)

    def fetched(given):
        return b"".join(
            a_batch(*headers, codec=codec, base_offset=offset) for headers, offset in zip(given, offsets, strict=True)
        )

    for start in range(14):
        assert read(MemoryRecords, fetched(named), start) == read(AnyRecords, fetched(batches), start)
    assert 13 == len(read(AnyRecords, fetched(batches))[0])


@pytest.mark.parametrize("codec", [UNCOMPRESSED, GZIP])
def test_what_the_compiled_parser_can_read_is_read_by_it(codec, monkeypatch):
    fetched = a_batch(*GOOD, codec=codec) + a_batch(*GOOD, codec=codec, base_offset=4)
    monkeypatch.setattr(transport_records, "_tolerant", None)

    assert read(MemoryRecords, fetched) == read(AnyRecords, fetched)


def test_a_received_record_says_what_aiokafkas_own_does():
    fetched = a_batch(*GOOD, base_offset=3)
    place = SimpleNamespace(topic="t", partition=2)
    ours, theirs = (
        list(kind(place, AnyRecords(fetched), [], 3, None, None, True, 0))
        for kind in (transport_records.ReceivedRecords, fetcher.PartitionRecords)
    )

    names = [field.name for field in dataclasses.fields(ConsumerRecord)]
    assert len(GOOD) == len(theirs)
    assert [[getattr(each, name) for name in names] for each in theirs] == [
        [getattr(each, name) for name in names] for each in ours
    ]


def test_the_first_record_can_be_asked_for_alone_as_of_a_transactions_marker():
    fetched = a_batch(*GOOD, base_offset=7)

    assert 7 == next(AnyRecords(fetched).next_batch()).offset


def test_a_batch_without_headers_of_an_old_version_is_left_alone():
    builder = legacy_records._LegacyRecordBatchBuilderPy(1, 0, 1_000_000)
    builder.append(0, 1_000, b"k", b"v")
    fetched = bytes(builder.build())

    assert read(MemoryRecords, fetched) == read(AnyRecords, fetched)


def test_a_part_of_a_batch_at_the_end_is_no_batch():
    fetched = a_batch(*GOOD)

    for cut in (fetched[:-1], fetched[:5], b""):
        records = AnyRecords(cut)
        assert (False, len(cut), None) == (records.has_next(), records.size_in_bytes(), records.next_batch())


# -- what is taken for granted -----------------------------------------------------------------------------------------


def test_aiokafkas_compiled_parser_refuses_such_a_name():
    """Once it does not, `transport_records` has nothing to do."""
    with pytest.raises(UnicodeDecodeError):
        read(MemoryRecords, a_batch([(BAD, b"")]))


def test_aiokafkas_fetch_asks_its_module_for_the_parser():
    fetch = fetcher.Fetcher._proc_fetch_request

    assert {"MemoryRecords", "PartitionRecords"} <= {*fetch.__code__.co_names}
    assert fetch.__globals__["MemoryRecords"] is MemoryRecords
    assert fetch.__globals__["PartitionRecords"] is fetcher.PartitionRecords
    assert fetch.__kwdefaults__ is None


def test_one_consumer_is_given_the_tolerant_parser_and_no_other():
    theirs, ours = object.__new__(fetcher.Fetcher), object.__new__(fetcher.Fetcher)

    transport_records.receive(SimpleNamespace(_fetcher=ours))

    assert ours._proc_fetch_request.__self__ is ours
    assert ours._proc_fetch_request.__func__.__globals__["MemoryRecords"] is AnyRecords
    assert ours._proc_fetch_request.__func__.__globals__["PartitionRecords"] is transport_records.ReceivedRecords
    assert theirs._proc_fetch_request.__func__.__globals__["MemoryRecords"] is MemoryRecords
