"""What is done with each of many items, in whichever process it happens."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Found = TypeVar("Found")
Result = TypeVar("Result")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Steps(Generic[Item, Read, Found, Result]):
    """Three steps for an item, of which the last gives its result.

    Attributes
    ----------
    read : returns what ``compute`` needs of an item
    compute : returns what ``write`` needs; one item at a time in a process
    write : returns the result
    lost : returns the result of an item whose process died, for a reason; nothing of it was written, or all of it
    """

    read: Callable[[Item], Read]
    compute: Callable[[Item, Read], Found]
    write: Callable[[Item, Found], Result]
    lost: Callable[[Item, str], Result]


class Once(Generic[Made]):
    """Make something when it is first needed, once in each process: a network takes seconds to load.

    A copy that was sent to another process makes its own there.
    """

    #: What the last maker in use has made. It belongs to the process, as a process may hold many copies of a maker.
    _made: tuple[str, Any] = ("", None)
    _lock = Lock()

    def __init__(self, make: Callable[[], Made]) -> None:
        """Bind the function that makes it."""
        self._make, self._key = make, uuid.uuid4().hex

    def __call__(self) -> Made:
        """Return what was made."""
        with Once._lock:
            if Once._made[0] != self._key:
                Once._made = (self._key, self._make())
            made: Made = Once._made[1]
        return made
