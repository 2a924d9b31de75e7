"""What stands on the topic of labelled examples before the place where a learner goes on.

A learner that starts must know which examples it learned shortly before: a lane that crashed sends those of its last
round again, and what is judged over the newest examples has to be judged again.
"""

import msgspec

from needstream.schemas.signals import LabelledExample
from needstream.streams import changelog, topics

_DECODER = msgspec.json.Decoder(LabelledExample)


class ExampleLog:
    """Reads back ``labelled-examples.v1``."""

    def __init__(self, broker: str) -> None:
        self._broker = broker

    async def before(self, partition: int, offset: int, *, most: int | None) -> list[LabelledExample]:
        """The newest examples of a partition before ``offset``, oldest first, at most so many; None for all.

        A broker that is away is waited for. What cannot be read is left out.
        """
        found: list[LabelledExample | None] = []

        async def read() -> None:
            found.clear()
            async with changelog.reader(self._broker, topics.LABELLED_EXAMPLES) as reader:
                begin = (await reader.extents([partition]))[partition].begin
                first = begin if most is None else max(begin, offset - most)
                async for _, records in reader.read({partition: changelog.Extent(first, offset)}):
                    found.extend(_example(record.value) for record in records)

        await changelog.outlasting(read)
        return [each for each in found if each is not None]


def _example(value: bytes | None) -> LabelledExample | None:
    try:
        return _DECODER.decode(value or b"")
    except msgspec.MsgspecError:
        return None
