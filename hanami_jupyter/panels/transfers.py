"""Files between a panel and the person's own machine, in pieces that a notebook's connection bears."""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import Any

from hanami_jupyter.panels.base import Panel, PanelError
from hanami_jupyter.panels.incoming import Received

PIECE = 512 * 1024
_KEPT = 2  # files that may be on their way at once, in each direction


class Transfers(Panel):
    """A panel that gives and takes files.

    An action offers a file, the browser fetches its pieces and saves it. A file from the browser comes
    before the action that it is for.
    """

    def __init__(self, owner: object = None, **traits: Any) -> None:
        self._offered: OrderedDict[int, bytes] = OrderedDict()
        self._received: OrderedDict[int, Received] = OrderedDict()
        self._numbers = count(1)
        super().__init__(owner, **traits)

    # -- to the browser

    def offer(self, name: str, data: bytes) -> dict[str, Any]:
        """Keep a file until the browser has fetched it; return what the browser needs to know."""
        number = next(self._numbers)
        self._offered[number] = data
        while len(self._offered) > _KEPT:
            self._offered.popitem(last=False)
        return {"file": {"number": number, "name": name, "size": len(data), "piece": PIECE}}

    def do_fetch(self, number: int, offset: int) -> bytes:
        """Return the next piece of a file; with the last one it is forgotten."""
        data = self._offered.get(number)
        if data is None:
            message = "The file is not kept any more. Download it again."
            raise PanelError(message)
        if offset + PIECE >= len(data):
            del self._offered[number]
        return data[offset : offset + PIECE]

    # -- from the browser

    def do_receive(self, name: str, size: int) -> int:
        """Make room for a file; return the number that its pieces bear."""
        number = next(self._numbers)
        self._received[number] = Received(name, size)
        while len(self._received) > _KEPT:
            self._received.popitem(last=False)[1].file.close()
        return number

    def do_part(self, number: int, offset: int, checksum: int, attached: bytes) -> None:
        """Take the next piece of a file."""
        self._coming(number).add(offset, checksum, attached)

    def _coming(self, number: int) -> Received:
        found = self._received.get(number)
        if found is None:
            message = "The file is not kept any more. Upload it again."
            raise PanelError(message)
        return found

    def taken(self, number: int) -> Received:
        """Return a file that has arrived as a whole, from its beginning; whoever takes it closes it."""
        found = self._coming(number)
        if found.arrived < found.size:
            message = f"'{found.name}' has not arrived as a whole. Upload it again."
            raise PanelError(message)
        del self._received[number]
        found.file.seek(0)
        return found

    def close(self) -> None:
        """End the feed, forget the files, remove every view; a second call does nothing."""
        super().close()
        self._offered.clear()
        while self._received:
            self._received.popitem()[1].file.close()


def file_name(name: str, end: str) -> str:
    """Return a name for a file that every system takes.

    Examples
    --------
    >>> file_name("digits, 2nd try", "npy")
    'digits_ 2nd try.npy'
    """
    return "".join(letter if letter.isalnum() or letter in "-_ " else "_" for letter in name) + f".{end}"
