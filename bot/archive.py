"""A tar.gz made piece by piece, in bounded memory, with the hash of the whole of it. Pure: bytes in, bytes out."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from datetime import datetime


class TarGz:
    """Call `begin`, `add` (until the announced size is there) and `end` for each file, and `close` at the end.

    Each returns what can be sent on, often nothing yet. `size` and `sha256` are of everything returned so far.
    """

    def __init__(self) -> None:
        self._gzip = zlib.compressobj(6, zlib.DEFLATED, 31)
        self._digest = hashlib.sha256()
        self._left = self._padding = 0
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def begin(self, name: str, size: int, at: datetime) -> bytes:
        """The head of a file of `size` bytes."""
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, int(at.timestamp()), 0o444
        self._left, self._padding = size, -size % tarfile.BLOCKSIZE
        return self._out(info.tobuf(tarfile.PAX_FORMAT))

    def add(self, data: bytes) -> bytes:
        """The next bytes of the file. Raises ValueError for more than were announced."""
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("a file of the archive is longer than was announced")
        return self._out(data)

    def end(self) -> bytes:
        """Raises ValueError for fewer than were announced."""
        if self._left:
            raise ValueError("a file of the archive is shorter than was announced")
        return self._out(bytes(self._padding))

    def close(self) -> bytes:
        """The end of the archive."""
        return self._out(bytes(2 * tarfile.BLOCKSIZE), last=True)

    def _out(self, data: bytes, *, last: bool = False) -> bytes:
        made = self._gzip.compress(data)
        if last:
            made += self._gzip.flush()
        self._digest.update(made)
        self.size += len(made)
        return made
