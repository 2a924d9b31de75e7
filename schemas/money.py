"""Exact money: decimal text to integer minor units of an ISO 4217 currency, and back.

Floating point never holds an amount; a text with more decimals than its currency has is refused.
"""

import re

AMOUNT_PATTERN = r"^-?[0-9]{1,15}(\.[0-9]{1,8})?$"
"""A decimal number of at most 15 whole and 8 fractional digits, no exponent, no grouping."""

_AMOUNT = re.compile(r"(-?[0-9]{1,15})(?:\.([0-9]{1,8}))?")


def _complete(exponent: int) -> str:
    """What an amount looks like that has all its decimals: digits, and digits behind a point if there are any."""
    point = r"\." if exponent else ""
    return rf"(-?[0-9]{{1,15}}){point}([0-9]{{{exponent}}})"


_TWO_DECIMALS = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL
HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP
MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS
VED VES WST XCD YER ZAR ZMW ZWG
"""
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"

EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}
"""Decimals of each currency code of ISO 4217 that is in circulation."""

_COMPLETE = {exponent: re.compile(_complete(exponent)).fullmatch for exponent in set(EXPONENTS.values())}
_READ_COMPLETE = {currency: _COMPLETE[exponent] for currency, exponent in EXPONENTS.items()}


def is_complete(amount: str, currency: str) -> bool:
    """Whether this is an amount with all the decimals of a known currency, as amounts usually are."""
    read = _READ_COMPLETE.get(currency)
    return read is not None and read(amount) is not None


def minor_units(amount: str, currency: str) -> int:
    """The amount as an integer count of the currency's smallest unit (cents, yen, fils).

    Raises:
        KeyError: the currency is not in ``EXPONENTS``.
        ValueError: no decimal number, or more decimals than the currency has.
    """
    complete = _READ_COMPLETE[currency](amount)
    if complete is not None:
        return int(complete[1] + complete[2])
    exponent = EXPONENTS[currency]
    parts = _AMOUNT.fullmatch(amount)
    if parts is None:
        msg = "not a decimal number"
        raise ValueError(msg)
    whole, fraction = parts.groups("")
    if len(fraction) > exponent:
        if fraction[exponent:].strip("0"):
            msg = f"{currency} has {exponent} decimals"
            raise ValueError(msg)
        fraction = fraction[:exponent]
    return int(whole + fraction.ljust(exponent, "0"))


def decimal_text(amount_minor: int, currency: str) -> str:
    """The inverse of ``minor_units``: ``decimal_text(-50, "EUR") == "-0.50"``."""
    exponent = EXPONENTS[currency]
    if exponent == 0:
        return str(amount_minor)
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"
