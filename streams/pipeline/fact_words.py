"""What facts are called in plain words: the closed vocabulary's here, a domain's in its pack.

In go the name of a fact, out comes a noun phrase per language that can be counted and totalled ("logins"). A pack
names its products and page topics, or a whole fact; what it leaves out is called by its name without underscores.
"""

from collections.abc import Mapping

from needstream.schemas import pack as packs
from needstream.schemas.pack import Texts
from needstream.streams.pipeline.refusals import DefinitionError
from needstream.streams.pipeline.vocabulary import Vocabulary

_NOTHING = Texts(en="", zh="")

_OF_PRODUCTS: Mapping[str, Texts] = {
    "view": Texts(en="visits to {product} pages", zh="{product}页面浏览"),
    "search": Texts(en="{product} searches", zh="{product}搜索"),
    "interest": Texts(en="{product} page visits and searches", zh="{product}浏览与搜索"),
    "form": Texts(en="steps of {product} applications", zh="{product}申请填写"),
    "apply": Texts(en="submitted {product} applications", zh="{product}申请提交"),
}
_OF_A_TOPIC = Texts(en="visits to {product} pages about {topic}", zh="{product}{topic}页面浏览")

FACTS: Mapping[str, Texts] = {
    "click.page_view": Texts(en="page visits", zh="页面浏览"),
    "click.search": Texts(en="searches", zh="搜索"),
    "click.click": Texts(en="clicks", zh="点击"),
    "click.feature_use": Texts(en="uses of app features", zh="功能使用"),
    "click.login": Texts(en="logins", zh="登录"),
    "click.logout": Texts(en="logouts", zh="退出登录"),
    "click.form_step": Texts(en="form steps", zh="表单填写"),
    "click.identify": Texts(en="identifications", zh="身份识别"),
    "click.error": Texts(en="errors met", zh="页面出错"),
    "tx.deposit": Texts(en="deposits", zh="存款入账"),
    "tx.withdrawal": Texts(en="withdrawals", zh="取款"),
    "tx.transfer_in": Texts(en="incoming transfers", zh="转入"),
    "tx.transfer_out": Texts(en="outgoing transfers", zh="转出"),
    "tx.card_payment": Texts(en="card payments", zh="刷卡消费"),
    "tx.refund": Texts(en="refunds", zh="退款"),
    "tx.instalment": Texts(en="instalments", zh="分期付款"),
    "tx.loan_disbursement": Texts(en="paid-out loans", zh="贷款发放"),
    "tx.loan_repayment": Texts(en="loan repayments", zh="贷款还款"),
    "tx.card_repayment": Texts(en="card repayments", zh="信用卡还款"),
    "tx.fee": Texts(en="fees", zh="手续费"),
    "tx.interest": Texts(en="interest bookings", zh="利息入账"),
    "tx.fx_remittance": Texts(en="transfers abroad", zh="跨境汇款"),
    "tx.investment_buy": Texts(en="investment purchases", zh="投资买入"),
    "tx.investment_sell": Texts(en="investment sales", zh="投资卖出"),
    "tx.insurance_premium": Texts(en="insurance premiums", zh="保费缴纳"),
    "tx.purchase": Texts(en="purchases", zh="购买"),
    "tx.application": Texts(en="applications", zh="申请"),
    "tx.balance": Texts(en="balance updates", zh="余额更新"),
    "tx.salary": Texts(en="salaries", zh="工资到账"),
    "feedback.complaint": Texts(en="complaints", zh="投诉"),
    "feedback.suggestion": Texts(en="suggestions", zh="建议"),
    "feedback.chat_message": Texts(en="chat messages", zh="聊天消息"),
    "feedback.survey": Texts(en="answered surveys", zh="问卷答复"),
    "feedback.review": Texts(en="reviews", zh="评价"),
    "feedback.call": Texts(en="calls", zh="来电"),
    "outcome.delivered": Texts(en="delivered contacts", zh="送达的联系"),
    "outcome.shown": Texts(en="shown offers", zh="展示的推荐"),
    "outcome.opened": Texts(en="opened messages", zh="打开的消息"),
    "outcome.clicked": Texts(en="clicked offers", zh="点击的推荐"),
    "outcome.accepted": Texts(en="accepted offers", zh="接受的推荐"),
    "outcome.refused": Texts(en="refused offers", zh="拒绝的推荐"),
    "outcome.converted": Texts(en="offers that led to a contract", zh="成交的推荐"),
    "outcome.complained": Texts(en="complaints about a contact", zh="对联系的投诉"),
    "credit.score": Texts(en="credit score updates", zh="信用评分更新"),
    "session.closed": Texts(en="visits", zh="访问"),
    "customer.activity": Texts(en="actions", zh="操作"),
}


def of(name: str, words: Mapping[str, Texts]) -> Texts:
    """The noun phrase of a fact, or of a product; ``words`` are a pack's. Of "" it is empty."""
    said = words.get(name) or FACTS.get(name)
    if said is not None or not name:
        return said or _NOTHING
    family, _, fact = name.partition(".")
    if not fact:
        return Texts(en=_spelt(family), zh=_spelt(family))
    product = of(fact, words)
    pattern = _OF_PRODUCTS.get(family)
    if pattern is not None:
        return Texts(en=pattern.en.format(product=product.en), zh=pattern.zh.format(product=product.zh))
    topic = of(family, words)
    return Texts(
        en=_OF_A_TOPIC.en.format(product=product.en, topic=topic.en),
        zh=_OF_A_TOPIC.zh.format(product=product.zh, topic=topic.zh),
    )


def check(pack: packs.Pack, vocabulary: Vocabulary) -> None:
    """Refuse words for what is neither a product, nor a page topic, nor a fact of the pack.

    Raises:
        DefinitionError: lists what would be valid.
    """
    topics = {rule.topic for rule in pack.pages if rule.topic is not None}
    for name in pack.words:
        place = f"words.{name}"
        if "." in name:
            vocabulary.check_fact(name, place)
        elif name not in topics and name not in vocabulary.products:
            valid = ", ".join(sorted(topics | set(vocabulary.products)))
            raise DefinitionError(place, f"{name!r} is no product or topic; these are: {valid}; or write a whole fact")


def _spelt(name: str) -> str:
    return name.replace("_", " ")
