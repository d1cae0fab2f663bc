"""Infrastructure as code: a git repository, and Terraform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Planned:
    """A saved plan. `sha256` is of the file; `changes` of the planned changes alone, so that it is the same for the same
    changes. `destroys` are the addresses that are destroyed or replaced."""

    sha256: str
    changes: str
    add: int
    change: int
    destroy: int
    destroys: tuple[str, ...]
    lines: tuple[str, ...]
    """Each planned change in words: `terraform_data.network: create`."""


class Infrastructure(Protocol):
    """Raises Refused with a sentence for whatever git or Terraform say no with (`code` NoTerraform, NoGit, Locked, Stale,
    NoPlan), Unavailable for a repository that does not answer."""

    async def head(self, repository: str) -> str:
        """The commit that the repository's head is at."""

    async def plan(self, repository: str, commit: str, folder: str) -> Planned:
        """Check the commit out, initialise, plan, and save the plan. When the changes are those of a plan that is saved
        already, it is that one."""

    async def apply(
        self, repository: str, commit: str, folder: str, sha256: str, progress: Callable[[str], None]
    ) -> str:
        """Apply exactly the saved plan of that SHA-256; what Terraform says at the end. Refused when it is not here."""

    async def must_have(self, sha256: str) -> None:
        """Refused (NoPlan) unless the saved plan of that SHA-256 is here."""

    async def remaining(self, repository: str, commit: str, folder: str) -> str:
        """The changes that are still to be made, as `Planned.changes`; empty = none. Waits while somebody holds the state."""

    async def manifests(self, repository: str, commit: str, folder: str) -> Sequence[Mapping[str, Any]]:
        """Every object of a folder of manifests, in the order of files and documents."""
