"""The chain: whatever is done to it afterwards is found, and the store's way of keeping JSON does not matter to it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from bot.timeline import GENESIS, Entry, Note, digest, link, verify
from tests.unit.given import NOW

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
DATA = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)
NOTES = st.builds(Note, TEXT, TEXT, TEXT, TEXT, DATA)


def chain(notes: list[Note]) -> list[Entry]:
    """The entries as the store writes them, one a second."""
    entries: list[Entry] = []
    for seq, note in enumerate(notes, 1):
        prev = entries[-1].hash if entries else GENESIS
        entries.append(link(7, seq, NOW + timedelta(seconds=seq, microseconds=seq), note, prev))
    return entries


CHAINS = st.lists(NOTES, min_size=1, max_size=6).map(chain)


@given(CHAINS)
def test_an_untouched_chain_holds(entries: list[Entry]) -> None:
    """What was written verifies, and the verdict names its length and head."""
    verdict = verify(entries)
    assert verdict.holds
    assert (verdict.entries, verdict.head, verdict.why) == (len(entries), entries[-1].hash, "")


def test_an_empty_chain_holds() -> None:
    """Nothing written is nothing broken."""
    assert verify([]).head == GENESIS


@given(CHAINS, st.data())
def test_a_changed_field_is_found_at_its_entry(entries: list[Entry], data: st.DataObject) -> None:
    """Any change of any field, but for the hash of the last one and what follows from it, is found where it was made."""
    at = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[at]
    other: dict[str, Any] = {
        "incident": entry.incident + 1,
        "at": entry.at + timedelta(microseconds=1),
        "kind": entry.kind + "x",
        "actor": entry.actor + "x",
        "actor_name": entry.actor_name + "x",
        "text": entry.text + " ",
        "data": {**entry.data, "more": None},
        "prev": "f" * 64,
        "hash": "e" * 64,
        "seq": entry.seq + 1,
    }
    field = data.draw(st.sampled_from(sorted(other)))
    entries[at] = replace(entry, **{field: other[field]})
    verdict = verify(entries)
    assert verdict.broken_at is not None
    assert verdict.broken_at <= at + 1
    assert verdict.why


@given(CHAINS, st.data())
def test_even_a_change_that_is_hashed_anew_is_found(entries: list[Entry], data: st.DataObject) -> None:
    """Who changes an entry and its hash too is found at the next one, or by the head that the incident keeps."""
    at = data.draw(st.integers(0, len(entries) - 1))
    head = entries[-1].hash
    forged = replace(entries[at], text=entries[at].text + "!")
    entries[at] = replace(forged, hash=digest(forged))
    verdict = verify(entries)
    assert (not verdict.holds and verdict.broken_at == at + 2) or verdict.head != head


@given(CHAINS, st.data())
def test_a_removed_entry_is_found(entries: list[Entry], data: st.DataObject) -> None:
    """A gap is found where it is; a cut end by the count and head that the incident keeps."""
    at = data.draw(st.integers(0, len(entries) - 1))
    count, head = len(entries), entries[-1].hash
    verdict = verify(entries[:at] + entries[at + 1 :])
    assert verdict.broken_at == at + 1 or (verdict.entries, verdict.head) != (count, head)
    if at < count - 1:
        assert verdict.why == f"entry {at + 1} is missing: the next one is numbered {at + 2}"


@given(CHAINS, NOTES, st.data())
def test_an_entry_slipped_in_is_found(entries: list[Entry], note: Note, data: st.DataObject) -> None:
    """Something inserted, even sealed and numbered to fit its place, breaks the chain behind it."""
    at = data.draw(st.integers(0, len(entries) - 1))
    slipped = link(7, at + 1, NOW, note, entries[at - 1].hash if at else GENESIS)
    assume(slipped != entries[at])
    behind = [replace(e, seq=e.seq + 1) for e in entries[at:]]
    assert verify([*entries[:at], slipped, *behind]).broken_at == at + 2
    assert verify([*entries[:at], slipped, *entries[at:]]).broken_at == at + 2


@given(st.lists(NOTES, min_size=2, max_size=6).map(chain), st.data())
def test_swapped_entries_are_found(entries: list[Entry], data: st.DataObject) -> None:
    """Two entries that change places are found at the first of them, renumbered or not."""
    one, two = sorted(data.draw(st.lists(st.integers(0, len(entries) - 1), min_size=2, max_size=2, unique=True)))
    swapped = list(entries)
    swapped[one], swapped[two] = entries[two], entries[one]
    assert verify(swapped).broken_at == one + 1
    renumbered = [replace(entry, seq=seq) for seq, entry in enumerate(swapped, 1)]
    assert verify(renumbered).broken_at == one + 1


@given(NOTES)
def test_the_hash_does_not_depend_on_how_json_is_kept(note: Note) -> None:
    """Keys in another order and another escaping, as jsonb gives them back, are the same content."""
    entry = link(7, 1, NOW, note, GENESIS)
    shuffled = json.loads(json.dumps(dict(reversed(list(entry.data.items()))), ensure_ascii=False))
    assert digest(replace(entry, data=shuffled)) == entry.hash


def test_the_hash_does_not_depend_on_the_time_zone() -> None:
    """The same instant, however it is written, has the same hash; a microsecond more has another."""
    entry = link(7, 1, datetime(2026, 3, 2, 14, 0, tzinfo=UTC), Note("note", "x"), GENESIS)
    moved = replace(entry, at=entry.at.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert digest(moved) == entry.hash
    assert digest(replace(entry, at=entry.at + timedelta(microseconds=1))) != entry.hash


def test_fields_cannot_flow_into_each_other() -> None:
    """Text that moves from one field to its neighbour changes the hash."""
    one = link(7, 1, NOW, Note("ab", "c"), GENESIS)
    two = link(7, 1, NOW, Note("a", "bc"), GENESIS)
    assert one.hash != two.hash
