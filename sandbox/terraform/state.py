"""Terraform's state in a file, as its local backend keeps it: a serial, a lineage, a lock that says who holds it."""

import contextlib
import fcntl
import getpass
import json
import os
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

VERSION = "1.9.8"


class Locked(Exception):
    """Somebody else holds the state; `info` is theirs."""

    def __init__(self, info: dict[str, str]) -> None:
        super().__init__("locked")
        self.info = info

    def detail(self) -> str:
        """As Terraform words it."""
        names = ("ID", "Path", "Operation", "Who", "Version", "Created", "Info")
        lines = [f"  {name + ':':<10} {self.info.get(name, '')}" for name in names]
        return "\n".join(
            [
                "Error message: resource temporarily unavailable",
                "Lock Info:",
                *lines,
                "",
                "",
                "Terraform acquires a state lock to protect the state from being written",
                "by multiple users at the same time. Please resolve the issue above and try",
                'again. For most commands, you can disable locking with the "-lock=false"',
                "flag, but this is not recommended.",
            ]
        )


def read(path: Path) -> dict[str, Any]:
    """The state; an empty one when there is none."""
    if not path.exists() or not path.read_text():
        return {"version": 4, "terraform_version": VERSION, "serial": 0, "lineage": str(uuid.uuid4()), "resources": {}}
    state: dict[str, Any] = json.loads(path.read_text())
    return state


def write(path: Path, state: dict[str, Any]) -> None:
    """Replace it, whole, with the next serial."""
    state["serial"] += 1
    new = path.with_suffix(".new")
    new.write_text(json.dumps(state, indent=2))
    new.replace(path)


def take(path: Path, operation: str, who: str = "") -> IO[str]:
    """Lock the state until what is returned is closed. Raises Locked."""
    note = _note(path)
    file = note.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        said = file.read()
        file.close()
        raise Locked(json.loads(said) if said else {}) from None
    info = {
        "ID": str(uuid.uuid4()), "Operation": operation, "Info": "", "Who": who or f"{getpass.getuser()}@{socket.gethostname()}",
        "Version": VERSION, "Created": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f} +0000 UTC", "Path": str(path),
    }  # fmt: skip
    file.truncate(0)
    file.write(json.dumps(info))
    file.flush()
    os.fsync(file.fileno())
    return file


@contextlib.contextmanager
def locked(path: Path, operation: str) -> Iterator[None]:
    """Hold the lock as long as the block lasts. Raises Locked."""
    file = take(path, operation)
    try:
        yield
    finally:
        file.truncate(0)
        file.close()


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock.info")
