"""docs/actions.md has exactly the actions of the catalogue, each with its risk."""

import re
from pathlib import Path

from actions import CATALOGUE

PAGE = Path(__file__).parents[2] / "docs" / "actions.md"


def test_every_action_is_on_the_page() -> None:
    """Name and risk of each row are the catalogue's; none is missing, none is left over."""
    rows = re.findall(r"^\|.*\| `([a-z-]+\.[a-z-]+)` \| (\w+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == {procedure.name: str(procedure.risk) for procedure in CATALOGUE}
    assert len(rows) == len(CATALOGUE)
