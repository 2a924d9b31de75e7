import collections
import gzip
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

import needstream.simulation
from needstream.schemas import codecs, dead_letters
from needstream.simulation.adapters import bank_calls, berka, converted, online_retail

SAMPLE = pathlib.Path(needstream.simulation.__file__).parent / "samples" / "online_retail_sample.csv.gz"
_RETAIL_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
_CALLS_HEADER = (
    "vru+line,call_id,customer_id,priority,type,date,vru_entry,vru_exit,vru_time,q_start,q_exit,q_time,outcome,"
    "ser_start,ser_exit,ser_time,server\n"
)


def _events(converted_events: Iterable[converted.Converted]) -> list[dict[str, Any]]:
    return [orjson.loads(each.event) for each in converted_events]


def _retail(path: pathlib.Path, lines: str) -> tuple[list[dict[str, Any]], collections.Counter[str]]:
    path.write_text(_RETAIL_HEADER + lines)
    skipped: collections.Counter[str] = collections.Counter()
    return _events(online_retail.read(path, skipped)), skipped


def _assert_accepted(converted_events: Iterable[converted.Converted]) -> None:
    for each in converted_events:
        decoded = codecs.decode(
            each.event, family=each.topic.split(".")[0], latest_ms=2_000_000_000_000, key=each.key.encode()
        )
        assert not isinstance(decoded, dead_letters.Rejected), decoded


def test_an_invoice_becomes_one_purchase_with_the_exact_total_of_its_products(tmp_path: pathlib.Path) -> None:
    events, skipped = _retail(
        tmp_path / "retail.csv",
        "536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
        "536365,71053,LANTERN,3,2010-12-01 08:27:00,0.1,17850,United Kingdom\n"
        "536365,POST,POSTAGE,1,2010-12-01 08:27:00,18.00,17850,United Kingdom\n",
    )

    assert [
        {
            "event_id": "retail-536365",
            "event_type": "purchase",
            "event_time": "2010-12-01T08:26:00.000Z",
            "customer_id": "retail-17850",
            "amount": "15.60",
            "currency": "GBP",
            "product": "gift",
            "channel": "web",
        }
    ] == events
    assert {online_retail.NO_PRODUCT: 1} == skipped


def test_a_cancellation_becomes_a_refund_of_a_positive_amount(tmp_path: pathlib.Path) -> None:
    events, _ = _retail(tmp_path / "retail.csv", "C536379,22556,TINS,-2,2010-12-01 09:41:00,1.65,14527,France\n")

    assert [("refund", "3.30")] == [(event["event_type"], event["amount"]) for event in events]


def test_guests_and_invoices_without_a_charge_are_skipped_and_counted(tmp_path: pathlib.Path) -> None:
    events, skipped = _retail(
        tmp_path / "retail.csv",
        "1,22556,TINS,1,2010-12-01 09:41:00,1.65,,France\n"
        "2,22556,TINS,1,2010-12-01 09:42:00,0.0,14527,France\n"
        "C3,D,Discount,-1,2010-12-01 09:43:00,27.50,14527,France\n",
    )

    assert [] == events
    assert {online_retail.GUEST: 1, online_retail.NOTHING_CHARGED: 2, online_retail.NO_PRODUCT: 1} == skipped


def test_lines_of_two_invoices_may_be_mixed_within_minutes(tmp_path: pathlib.Path) -> None:
    events, _ = _retail(
        tmp_path / "retail.csv",
        "1,22556,TINS,1,2010-12-01 09:41:00,1.00,10,France\n"
        "2,22556,TINS,1,2010-12-01 09:41:00,2.00,11,France\n"
        "1,22557,TINS,1,2010-12-01 09:42:00,3.00,10,France\n"
        "3,22556,TINS,1,2010-12-01 10:41:00,5.00,10,France\n",
    )

    assert ["4.00", "2.00", "5.00"] == [event["amount"] for event in events]


def test_the_shipped_sample_is_small_and_holds_histories_of_a_few_dozen_customers() -> None:
    skipped: collections.Counter[str] = collections.Counter()
    found = list(online_retail.read(SAMPLE, skipped))
    events = _events(found)

    assert SAMPLE.stat().st_size <= 150_000
    assert 463 == len(events) == len({event["event_id"] for event in events})
    assert len({event["customer_id"] for event in events}) == 56
    assert {"purchase": 360, "refund": 103} == collections.Counter(event["event_type"] for event in events)
    assert {online_retail.NO_PRODUCT: 25, online_retail.NOTHING_CHARGED: 1} == skipped
    assert sorted(event["event_time"] for event in events) == [event["event_time"] for event in events]
    _assert_accepted(found)


def _berka(folder: pathlib.Path, transactions: str) -> None:
    (folder / "trans_1993.csv").write_text(
        "trans_id,account_id,date,type,operation,amount,balance,k_symbol,bank,account\n" + transactions
    )
    (folder / "loan.csv").write_text("loan_id,account_id,date,amount,duration,payments\n7,576,930102,5000,12,450.00\n")
    (folder / "card.csv").write_text(
        "card_id,disp_id,type,issued\n5,31,classic,930103 00:00:00\n6,99,gold,930104 00:00:00\n"
    )
    (folder / "disp.csv").write_text("disp_id,client_id,account_id,type\n31,31,576,OWNER\n")


@pytest.mark.parametrize(
    ("operation", "purpose", "kind", "amount"),
    [
        ("VKLAD", "", "deposit", "10.00"),
        ("PREVOD Z UCTU", "DUCHOD", "transfer_in", "10.00"),
        ("VYBER", " ", "withdrawal", "10.00"),
        ("VYBER KARTOU", "", "withdrawal", "10.00"),
        ("PREVOD NA UCET", "SIPO", "transfer_out", "10.00"),
        ("PREVOD NA UCET", "POJISTNE", "insurance_premium", "10.00"),
        ("PREVOD NA UCET", "UVER", "loan_repayment", "10.00"),
        ("VYBER", "SLUZBY", "fee", "10.00"),
        ("", "UROK", "interest", "10.00"),
        ("VYBER", "SANKC. UROK", "interest", "-10.00"),
    ],
)
def test_a_berka_transaction_is_named_by_its_purpose_or_operation(
    tmp_path: pathlib.Path, *, operation: str, purpose: str, kind: str, amount: str
) -> None:
    _berka(tmp_path, f"1,576,1993-01-01,X,{operation},10.00,910.00,{purpose},,\n")
    found = list(berka.read(tmp_path))
    event = orjson.loads(found[0].event)

    assert (kind, amount, "910.00", "CZK") == (
        event["event_type"], event["amount"], event["balance_after"], event["currency"]
    )  # fmt: skip
    assert ("berka-576", "1993-01-01T00:00:00Z") == (event["customer_id"], event["event_time"])
    _assert_accepted(found)


def test_berka_loans_and_cards_are_merged_by_day_and_what_is_unknown_is_counted(tmp_path: pathlib.Path) -> None:
    skipped: collections.Counter[str] = collections.Counter()
    _berka(
        tmp_path,
        "1,576,1993-01-01,PRIJEM,VKLAD,900.00,900.00,,,\n"
        "2,576,1993-01-02,PRIJEM,MYSTERY,1.00,901.00,,,\n"
        "3,576,1993-01-05,PRIJEM,VKLAD,1.00,902.00,,,\n",
    )

    kinds = [(event["event_type"], event.get("product")) for event in _events(berka.read(tmp_path, skipped))]
    assert [("deposit", None), ("loan_disbursement", "loan"), ("application", "card"), ("deposit", None)] == kinds
    assert {berka.UNKNOWN_KIND: 1, berka.NO_ACCOUNT: 1} == skipped


def test_a_berka_folder_without_a_table_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match="trans"):
        list(berka.read(tmp_path))


def test_calls_of_identified_customers_become_feedback(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "calls.csv.gz"
    lines = (
        "AA0101,34552,c00098,1,PS,990201,9:16:08,9:16:14,6,9:16:14,9:16:32,18,AGENT,9:16:32,9:18:00,88,a01\n"
        "AA0102,30075,0,0,NW,990201,0:11:28,0:11:46,18,0:00:00,0:00:00,0,HANG,0:00:00,0:00:00,0,NO_SERVER\n"
        "AA0103,30076,c00099,0,NE,990201,0:11:28,0:11:46,-4,0:00:00,0:00:00,0,HANG,0:00:00,0:00:00,0,NO_SERVER\n"
        "AA0104,30077,c00100,0,PS,990201,0:11:28,0:11:46,18,0:00:00,0:00:00,0,PHANTOM,0:00:00,0:00:00,0,NO_SERVER\n"
    )
    path.write_bytes(gzip.compress((_CALLS_HEADER + lines).encode()))
    skipped: collections.Counter[str] = collections.Counter()
    found = list(bank_calls.read(path, skipped))
    events = _events(found)

    assert [("call", True, "regular activity"), ("call", False, "stock trading")] == [
        (event["event_type"], event["resolved"], event["topic"]) for event in events
    ]
    assert events[0]["event_time"] == "1999-02-01T09:16:08Z"
    assert events[0]["text"] == "Call about regular activity: waited 18 s, served for 88 s."
    assert {bank_calls.NO_CUSTOMER: 1, bank_calls.PHANTOM: 1} == skipped
    _assert_accepted(found)


def _published(name: str) -> pathlib.Path:
    folder = os.environ.get("NEEDSTREAM_DATA")
    if not folder:
        pytest.skip("NEEDSTREAM_DATA names no folder with the published data sets")
    return pathlib.Path(folder) / name


@pytest.mark.parametrize(
    ("name", "events", "customers"),
    [
        ("online_retail/events_2010-12_2011-08.csv.gz", 13_595, 3_349),
        ("berka_partial", 28_226, 1_139),
        ("bank_calls/calls_1999-02-01_02-19.csv.gz", 9_382, 3_328),
    ],
)
def test_a_published_data_set_is_converted_completely(name: str, *, events: int, customers: int) -> None:
    path = _published(name)
    reader = {"online_retail": online_retail.read, "berka_partial": berka.read, "bank_calls": bank_calls.read}
    found = list(reader[name.split("/", maxsplit=1)[0]](path))

    assert events == len(found) == len({orjson.loads(each.event)["event_id"] for each in found})
    assert customers == len({each.key for each in found})
    _assert_accepted(found)
