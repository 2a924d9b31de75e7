"""The shop pack on what a shop has: purchases and refunds."""

import stories
from builders import consent, transaction
from needstream.schemas.signals import Alert, Decision, LabelledExample, NeedSignal
from needstream.streams.packs import loader

SHOP = loader.load("shop")


def _buy(day, amount="40.00", kind="purchase"):
    return transaction(kind, at=f"2025-{day}T10:00:00Z", amount=amount, currency="GBP", product="gift")


def _said(*story, until="2025-12-01T00:00:00Z"):
    run = stories.Run(SHOP).feed(stories.arrivals(*story)).finish(until=until)
    return [(each.scenario, each.event_time[:10]) for each in run.emissions if isinstance(each, Alert | NeedSignal)]


def test_who_bought_often_and_then_nothing_has_gone_quiet():
    assert [("gone_quiet", "2025-05-10")] == _said(_buy("02-20"), _buy("03-01"), _buy("03-11"))


def test_who_bought_twice_has_no_habit_to_break():
    assert [] == _said(_buy("02-20"), _buy("03-11"))


def test_a_purchase_in_time_is_no_silence():
    assert [("gone_quiet", "2025-07-04")] == _said(
        _buy("02-20"), _buy("03-01"), _buy("03-11"), _buy("04-20"), _buy("05-05")
    )


def test_who_comes_back_after_months_is_welcomed():
    assert [("back_after_long_absence", "2025-07-01")] == _said(_buy("02-20"), _buy("07-01"))


def test_a_first_purchase_is_no_return():
    assert [] == _said(_buy("02-20"))


def test_a_purchase_after_a_month_is_no_return():
    assert [] == _said(_buy("02-20"), _buy("03-25"))


def test_much_money_within_a_month_deserves_a_person():
    assert [("big_basket", "2025-02-25")] == _said(_buy("02-20", "900.00"), _buy("02-25", "1300.00"))


def test_refunds_one_after_another_ask_for_a_word():
    refunds = [_buy(day, kind="refund") for day in ("02-20", "02-22", "02-25")]

    assert [("many_refunds", "2025-02-25")] == _said(*refunds)
    assert [] == _said(*refunds[:2])


def test_amounts_sent_back_are_no_activity():
    run = stories.Run(SHOP).feed(stories.arrivals(_buy("02-20", kind="refund"))).finish(until="2025-12-01T00:00:00Z")

    assert [] == list(run.of(LabelledExample))


def test_labels_are_purchases_within_a_month_and_none_within_a_quarter():
    run = stories.Run(SHOP).feed(stories.arrivals(_buy("02-20"), _buy("03-20"))).finish(until="2025-12-01T00:00:00Z")
    labels = {(each.model, each.predicted_at[:10]): each.label for each in run.of(LabelledExample)}

    assert labels["repurchase", "2025-03-06"]
    assert not labels["churn", "2025-03-06"]
    assert not labels["repurchase", "2025-04-03"]
    assert labels["churn", "2025-04-03"]


def test_sales_still_need_a_consent():
    rule = SHOP.pack.consent["sales"]

    assert ("marketing", "DENIED") == (rule.purpose, rule.default)
    run = stories.Run(SHOP).feed(
        stories.arrivals(consent("service", "DENIED", at="2025-01-01T00:00:00Z"), _buy("02-20"), _buy("07-01"))
    )
    run.finish()
    assert ["consent"] == [each.gate for each in run.of(Decision)]
