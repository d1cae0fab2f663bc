"""Who works at ValueCanvas, and which escalation policy calls whom. Ids and e-mail addresses never change."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["acks", "never"]

SERVICE_ID = "PVALUEC"
SERVICE_NAME = "ValueCanvas Production"
RUNG_IDS = ("PRUNG01", "PRUNG02", "PRUNG03", "PRUNG04")


@dataclass
class Person:
    """A user of the account, and how they answer the phone.

    `mode` "acks" answers every call `after` practice seconds, "never" lets it ring.
    """

    id: str
    name: str
    email: str
    title: str
    phone: str
    mode: Mode = "never"
    after: float = 20.0

    def behave(self, mode: Mode, after: float | None = None) -> None:
        """Set how this person answers from now on; calls that already ring are not touched."""
        self.mode = mode
        if after is not None:
            self.after = after


@dataclass(frozen=True)
class Rule:
    """One level of a policy: whom to call, and after how many minutes the next level is called."""

    id: str
    delay_minutes: int
    targets: Sequence[Person]


@dataclass(frozen=True)
class Policy:
    """An escalation policy: its rules in order, gone through `loops` more times when nobody answers."""

    id: str
    name: str
    rules: Sequence[Rule] = field(default_factory=tuple)
    loops: int = 0


def seed_people() -> dict[str, Person]:
    """Everybody in the account, by id."""
    rows = (
        ("PANAORT", "Ana Ortiz", "On-call engineer"),
        ("PBENADL", "Ben Adler", "Second on-call engineer"),
        ("PCHLOEM", "Chloe Martin", "Engineering manager"),
        ("PDEVPAT", "Dev Patel", "CTO"),
        ("PEVALIN", "Eva Lind", "Infrastructure engineer"),
        ("PFRANKO", "Frank Osei", "CEO"),
        ("PGRACEK", "Grace Kim", "Support"),
    )
    return {
        id_: Person(id_, name, f"{name.split()[0].lower()}@valuecanvas.example", title, f"+1-555-010-{n}")
        for n, (id_, name, title) in enumerate(rows, start=1001)
    }


def seed_policies(people: dict[str, Person]) -> dict[str, Policy]:
    """The four rungs of the escalation path, by id."""
    ana, ben, chloe, dev, eva, frank, _ = people.values()
    levels: tuple[tuple[str, list[list[Person]]], ...] = (
        ("On-call engineer", [[ana], [ben]]),
        ("Engineering manager", [[chloe]]),
        ("CTO and infrastructure", [[dev, eva]]),
        ("CEO and all hands", [[frank]]),
    )
    return {
        id_: Policy(id_, name, tuple(Rule(f"{id_}R{n}", 5, tuple(who)) for n, who in enumerate(rules, start=1)))
        for id_, (name, rules) in zip(RUNG_IDS, levels, strict=True)
    }
