"""What stands on the topic of labelled examples before the place where a learner goes on.

A learner that starts must know which examples it learned shortly before, because a lane that crashed sends those of its
last round again.
"""

import msgspec
from msgspec import Struct

from needstream.models.recent_ids import REMEMBERED_EXAMPLES
from needstream.streams import changelog, topics


class _Identity(Struct):
    example_id: str


_DECODER = msgspec.json.Decoder(_Identity)


class ExampleLog:
    """Reads back ``labelled-examples.v1``."""

    def __init__(self, broker: str) -> None:
        self._broker = broker

    async def ids_before(self, partition: int, offset: int) -> list[str]:
        """The ids of the newest examples of a partition before ``offset``, oldest first; as many as are remembered.

        A broker that is away is waited for.
        """
        found: list[str | None] = []

        async def read() -> None:
            found.clear()
            async with changelog.reader(self._broker, topics.LABELLED_EXAMPLES) as reader:
                begin = (await reader.extents([partition]))[partition].begin
                span = changelog.Extent(max(begin, offset - REMEMBERED_EXAMPLES), offset)
                async for _, records in reader.read({partition: span}):
                    found.extend(_identity(record.value) for record in records)

        await changelog.outlasting(read)
        return [each for each in found if each is not None]


def _identity(value: bytes | None) -> str | None:
    try:
        return _DECODER.decode(value or b"").example_id
    except msgspec.MsgspecError:
        return None
