"""Reading ahead: a thread makes the next items while the caller works on the last."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The items in order, each made by another thread while the one before is used.

    Args:
        items: whose making releases the interpreter's lock (decoding, resizing).
        depth: how many wait at most, so that memory stays bounded.

    Raises:
        Exception: what making an item raises, when it is that item's turn.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Item | object]] = deque(
            pool.submit(next, source, end) for _ in range(depth)
        )
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, source, end))
            yield item  # type: ignore[misc]  # not the end, hence an item
