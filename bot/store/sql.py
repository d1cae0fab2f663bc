"""Named blocks of SQL, read once from the files beside this one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_queries() -> Mapping[str, LiteralString]:
    """Every block of the `.sql` files as name → statement. Raises ValueError when a name stands twice."""
    files = sorted((f for f in resources.files("bot.store").iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    parts = [part for file in files for part in _NAME.split(file.read_text(encoding="utf-8"))[1:]]
    names = parts[::2]
    if len(set(names)) != len(names):
        raise ValueError("the queries name a block twice")
    # The file ships with the package: as trustworthy as a literal in the source.
    return {name: cast("LiteralString", body.strip()) for name, body in zip(names, parts[1::2], strict=True)}


def load_migrations() -> list[tuple[int, str, str]]:
    """The numbered migrations in order: (number, name, statements). Raises ValueError when a number is missing."""
    found = []
    for file in resources.files("bot.store").joinpath("migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name)
        if match:
            found.append((int(match[1]), match[2], file.read_text(encoding="utf-8")))
    found.sort()
    if [number for number, _, _ in found] != list(range(1, len(found) + 1)):
        raise ValueError("the migrations are not numbered 1, 2, 3, …")
    return found
