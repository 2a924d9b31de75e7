"""Words of the simulated bank: pages, searches, merchants, employers and what customers write.

URLs and search words follow the `bank` pack; the texts are written for this project.
"""

from typing import Final

GENERAL_PAGES: Final = (
    "/home", "/accounts", "/accounts/transactions", "/accounts/statement", "/payments", "/payments/new",
    "/settings", "/help", "/messages", "/budget", "/branches",
)  # fmt: skip
PRODUCT_PAGES: Final[dict[str, tuple[str, ...]]] = {
    "loan": ("/loans", "/loans/personal", "/loans/car", "/loans/renovation", "/loans/faq", "/loans/repayment"),
    "wealth": ("/wealth", "/invest", "/invest/plans", "/wealth/advice", "/funds", "/funds/equity", "/funds/bonds"),
    "card": ("/cards", "/cards/gold", "/cards/travel", "/cards/compare", "/cards/cashback"),
    "insurance": ("/insurance", "/insurance/home", "/insurance/travel", "/insurance/car", "/insurance/quote"),
    "remittance": ("/remit", "/transfer-abroad", "/transfer-abroad/fees", "/remit/countries"),
    "mortgage": ("/mortgage", "/mortgage/first-home"),
    "deposit": ("/deposits", "/deposits/rates"),
}
RATE_PAGES: Final = ("/loans/rates", "/loans/compare", "/loans/calculator")
PRODUCT_QUERIES: Final[dict[str, tuple[str, ...]]] = {
    "loan": ("personal loan", "borrow 5000", "credit line", "loan early repayment", "car loan"),
    "wealth": ("how to invest", "wealth plan", "index fund", "fund fees", "invest monthly"),
    "card": ("travel card", "card with cashback", "second card", "gold card fee"),
    "insurance": ("travel insurance", "home insurance", "insurance quote", "car insurance"),
    "remittance": ("send money abroad", "remit fee", "remittance rate"),
}
GENERAL_QUERIES: Final = (
    "opening hours", "iban", "change address", "standing order", "pin forgotten", "statement pdf",
    "block list", "nearest branch", "tax form", "app password",
)  # fmt: skip
FEATURES: Final = (
    "balance_widget",
    "budget_tool",
    "cheque_deposit",
    "spending_chart",
    "split_bill",
    "statement_export",
)
CLICKS: Final = ("banner_close", "menu", "contact", "notifications", "dark_mode")

MERCHANT_CODES: Final = ("5411", "5411", "5411", "5812", "5814", "4111", "5541", "5651", "5399", "5912", "7832", "5732")
MERCHANTS: Final[dict[str, str]] = {
    "5411": "Corner Grocers", "5812": "Blue Plate", "5814": "Noodle Bar", "4111": "City Transit", "5541": "Fuel Stop",
    "5651": "Thread & Co", "5399": "Parcelhaus", "5912": "Green Pharmacy", "7832": "Odeon Lane", "5732": "Volt Store",
    "4722": "Far Travel", "4511": "Skyward Air", "5511": "Auto Forum", "5533": "Car Parts Yard", "4829": "Call Home",
}  # fmt: skip
NEED_MERCHANT_CODES: Final[dict[str, tuple[str, ...]]] = {
    "card": ("5399", "4511", "4722"),
    "insurance": ("5511", "5533", "4722"),
    "remittance": ("4829", "4511"),
    "loan": ("5511", "5732"),
}
EMPLOYERS: Final = (
    "Northwind Payroll", "Harbour Hospital Salary", "City Schools Payroll", "Lumen Labs Salary", "Mill Lane Wages",
    "Atlas Freight Employer Account", "Orchard Foods Payroll", "Kite Software Salary",
)  # fmt: skip
PLATFORMS: Final = ("RideLoop payouts", "CourierHive payouts", "TaskNest payouts")
LANDLORDS: Final = ("Elm Court Lettings", "Riverside Homes", "Hartmann Housing", "Station Road Trust")
UTILITIES: Final = ("Brightwater Utilities", "Gridline Energy", "FibreNet Telecom")
WINDFALLS: Final = ("Notary escrow account", "Estate settlement", "House sale proceeds", "Severance settlement")

FEEDBACK: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "complaint": (
        ("en", "billing", "I was charged twice for the same payment and nobody has called me back."),
        ("en", "fees", "This fee was never mentioned and I want it returned."),
        ("en", "app", "The app logs me out in the middle of every transfer, this is frustrating."),
        ("zh", "billing", "账单金额有误,客服一直没有回复。"),
    ),
    "suggestion": (
        ("en", "app", "Please let me sort standing orders by date."),
        ("en", "branch", "A later opening hour on Thursdays would help people with shifts."),
        ("zh", "app", "希望可以在应用里直接下载年度对账单。"),
    ),
    "chat_message": (
        ("en", "account", "Where can I find my IBAN?"),
        ("en", "payments", "My transfer is still pending, is that normal?"),
        ("en", "card", "How do I set the limit for payments abroad?"),
        ("zh", "account", "请问如何修改我的联系电话?"),
    ),
    "survey": (
        ("en", "service", "Quick and friendly."),
        ("en", "service", "It was all right."),
        ("en", "app", "Took me a while to find the right page."),
    ),
    "review": (
        ("en", "app", "Does what I need."),
        ("en", "app", "Good app, a bit slow in the morning."),
    ),
    "call": (
        ("en", "account", "Asked for a new password letter."),
        ("en", "payments", "Asked when a transfer will arrive."),
    ),
}
