"""The writer that notices lost writes: what was acknowledged is remembered outside of the database."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from pathlib import Path

# Enough for an hour and a half of the periodic writer.
MOST = 10_000


@dataclass(frozen=True)
class Write:
    """A canvas that somebody was told is stored. Ids are used again after a failover that lost some, titles are not."""

    id: int
    title: str


class Ledger:
    """Acknowledged writes, the newest `MOST` of them; kept in `file`, when given, over restarts of this process."""

    def __init__(self, file: Path | None = None) -> None:
        self.failed = 0
        self._file = file
        self._writes: deque[Write] = deque(maxlen=MOST)
        if file is not None and file.exists():
            for line in file.read_text().splitlines():
                number, _, title = line.partition("\t")
                if number.isdigit() and title:
                    self._writes.append(Write(int(number), title))

    def acknowledged(self, write: Write) -> None:
        """Remember it."""
        self._writes.append(write)
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{write.id}\t{write.title}\n")

    @property
    def writes(self) -> list[Write]:
        """Oldest first."""
        return list(self._writes)


def new_title() -> str:
    """A title that no other canvas has."""
    return f"Note {secrets.token_hex(6)}"
