"""Every Web API method of the local Slack: not listed here, not there."""

from itertools import chain

from ..method import Method
from . import (
    bookmarks,
    canvases,
    chat,
    conversations,
    files,
    history,
    membership,
    people,
    pins,
    reactions,
    schedule,
    team,
    views,
)

FAMILIES = (
    team,
    chat,
    schedule,
    conversations,
    membership,
    history,
    people,
    views,
    pins,
    bookmarks,
    reactions,
    files,
    canvases,
)

METHODS: dict[str, Method] = {
    method.name: method for method in chain.from_iterable(family.METHODS for family in FAMILIES)
}
