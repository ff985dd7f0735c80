"""Three steps for each of many items, side by side: while one is computed, the next is read and the last is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from .steps import Found, Item, Read, Result, Steps


def stream(items: Iterable[Item], steps: Steps[Item, Read, Found, Result]) -> Iterator[Result]:
    """Yield the result of each item, in the order of the items.

    ``compute`` runs in the calling thread, and the two others in a thread each, one item at a time. So three items at
    most are in memory, and what comes out does not depend on the time that a step takes. What a step raises is raised
    here, after what was written before is whole.

    Parameters
    ----------
    items : the work
    steps : what is done with each
    """
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        todo = iter(items)
        coming = _next(todo, reader, steps.read)
        writing: Future[Result] | None = None
        while coming is not None:
            item, loading = coming
            loaded = loading.result()
            coming = _next(todo, reader, steps.read)
            found = steps.compute(item, loaded)
            if writing is not None:
                yield writing.result()
            writing = writer.submit(steps.write, item, found)
        if writing is not None:
            yield writing.result()


def _next(
    todo: Iterator[Item], reader: ThreadPoolExecutor, read: Callable[[Item], Read]
) -> tuple[Item, Future[Read]] | None:
    for item in todo:
        return item, reader.submit(read, item)
    return None
