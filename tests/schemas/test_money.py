"""Money is exact or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needstream.schemas import money

currencies = st.sampled_from(sorted(money.EXPONENTS))
amounts = st.from_regex(r"-?[0-9]{1,15}(\.[0-9]{1,8})?", fullmatch=True)


@given(amount=amounts, currency=currencies)
def test_minor_units_are_what_decimal_arithmetic_says(amount: str, currency: str) -> None:
    exact = Decimal(amount).scaleb(money.EXPONENTS[currency])
    if exact == exact.to_integral_value():
        assert int(exact) == money.minor_units(amount, currency)
    else:
        with pytest.raises(ValueError, match="decimals"):
            money.minor_units(amount, currency)


@given(amount_minor=st.integers(-(10**15) + 1, 10**15 - 1), currency=currencies)
def test_text_and_minor_units_are_inverse(amount_minor: int, currency: str) -> None:
    text = money.decimal_text(amount_minor, currency)

    assert amount_minor == money.minor_units(text, currency)
    assert Decimal(amount_minor).scaleb(-money.EXPONENTS[currency]) == Decimal(text)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("1234.50", "EUR", 123450),
        ("1234.5", "EUR", 123450),
        ("1234.5000", "EUR", 123450),
        ("-0.05", "EUR", -5),
        ("0", "EUR", 0),
        ("999999999999999.99", "EUR", 99999999999999999),
        ("12", "JPY", 12),
        ("12.00", "JPY", 12),
        ("1.234", "KWD", 1234),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: str, currency: str, *, minor: int) -> None:
    assert minor == money.minor_units(amount, currency)


@pytest.mark.parametrize(
    "text", ["", ".5", "5.", "1e3", "1,000", " 1", "1 ", "1\n", "--1", "+1", "\u0665", "NaN", "9" * 16]
)
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        money.minor_units(text, "EUR")


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(KeyError):
        money.minor_units("1", "EURO")


@given(st.text(max_size=20))
def test_no_text_means_anything_but_an_integer_or_a_refusal(text: str) -> None:
    try:
        minor = money.minor_units(text, "EUR")
    except ValueError:
        return
    assert Decimal(text) * 100 == minor
