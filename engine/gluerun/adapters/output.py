"""What a program prints, on its way to the log: whole lines, of one stream at a time, without secrets.

The small waiter imports this room, so it imports next to nothing.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_LINE = 16_777_216

_PART = 32_768
_LINE_CUT = b"\ngluerun: the line was cut here: it was longer than 16 MiB"
_LOG_CUT = b"\ngluerun: the output was cut here: it had passed its limit\n"
_LOST = b"\ngluerun: output was lost here: the log could not be written\n"


class Output:
    """The two streams of a program, its log, and when it was last heard.

    *cap* is how many bytes it may print (zero: any number); *mask* makes, for each stream, what changes
    a line before it is written; *heed* hears the lines of the standard output as they were.
    """

    def __init__(
        self,
        log: int,
        cap: int,
        mask: Callable[[], Callable[[bytes], bytes]] | None = None,
        heed: Callable[[bytes], object] | None = None,
    ) -> None:
        self.heard_at = time.monotonic()
        self.is_over = False
        self.open: list[int] = []
        self._log = log
        self._room = self._cap = cap
        self._mask = mask
        self._masks: dict[int, Callable[[bytes], bytes]] = {}
        self._heed = heed
        self._standard = -1
        self._held: dict[int, bytearray] = {}
        self._cutting: set[int] = set()
        self._is_within_a_line = self._has_lost = False

    def attach(self, standard: int, error: int) -> None:
        """Read from these descriptors from now on; they must not block."""
        self._standard = standard
        self.open = [standard, error]
        self._held = {standard: bytearray(), error: bytearray()}
        if self._mask is not None:
            self._masks = {standard: self._mask(), error: self._mask()}

    def pour(self, stream: int) -> bool:
        """Take what a stream has to give now, at most one part; tell whether there may be more at once."""
        try:
            data = os.read(stream, _PART)
        except BlockingIOError:
            return False
        if not data:
            self.open.remove(stream)
            return False
        self.heard_at = time.monotonic()
        self._room -= len(data)
        held = self._held[stream]
        end = data.rfind(b"\n") + 1
        if end:
            self._tell(stream, bytes(held) + data[:end])
            held.clear()
            self._cutting.discard(stream)
        if stream not in self._cutting:
            held += data[end:]
        if len(held) > LONGEST_LINE:
            self._write(self._masked(stream, [bytes(held[:LONGEST_LINE])]) + _LINE_CUT)
            held.clear()
            self._cutting.add(stream)
        if self._cap and self._room < 0 and not self.is_over:
            self.flush()
            self.is_over = True
            self._put(_LOG_CUT)
        return True

    def has_ended(self, stream: int) -> bool:
        """Take what a stream has to give now; tell whether it will never give any more."""
        self.pour(stream)
        return stream not in self.open

    def drain(self, seconds: float) -> None:
        """Take everything that is there, but not for ever: somebody may go on printing."""
        deadline = time.monotonic() + seconds
        for stream in tuple(self.open):
            while self.pour(stream) and time.monotonic() < deadline:
                pass

    def flush(self) -> None:
        """Write the lines that nobody has ended."""
        for stream, held in self._held.items():
            if held:
                self._tell(stream, bytes(held))
                held.clear()

    def _tell(self, stream: int, text: bytes) -> None:
        """Write lines to the log, and let them be heard."""
        lines = _lines(text)
        was_cut = stream in self._cutting
        if was_cut:
            lines[0] = b"\n"  # the rest of a line that was cut
        self._write(self._masked(stream, lines), goes_on=was_cut)
        if stream == self._standard and self._heed is not None:
            for line in lines:
                if line != b"\n":
                    self._heed(line)

    def _masked(self, stream: int, lines: list[bytes]) -> bytes:
        mask = self._masks.get(stream)
        return b"".join(lines if mask is None else map(mask, lines))

    def _write(self, text: bytes, *, goes_on: bool = False) -> None:
        if not text:
            return
        if self._is_within_a_line and not goes_on:
            text = b"\n" + text
        self._is_within_a_line = not text.endswith(b"\n")
        if self.is_over:
            return
        if self._cap:
            # What was taken too much stands at the end of the text.
            text = text[: max(len(text) + min(self._room, 0), 0)]
        self._put(text)

    def _put(self, text: bytes) -> None:
        """Write to the log; a full disk loses what is printed, and stops nobody."""
        left = memoryview((_LOST if self._has_lost else b"") + text)
        try:
            while left:
                left = left[os.write(self._log, left) :]
            self._has_lost = False
        except OSError:
            self._has_lost = True


def _lines(text: bytes) -> list[bytes]:
    """Split at line feeds only: a carriage return within a line ends nothing."""
    *whole, last = text.split(b"\n")
    return [line + b"\n" for line in whole] + ([last] if last else [])
