"""Refusals, with PagerDuty's codes and sentences.

Refused
├── bad(...)        400, 2001
├── duplicate(...)  400, 2002
└── the other factories below, one per status
"""

from typing import Any


class Refused(Exception):
    """An error answer: HTTP status, PagerDuty's code and message, and the details under `errors`."""

    def __init__(self, status: int, code: int, message: str, *errors: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.errors = status, code, message, errors

    def body(self) -> dict[str, Any]:
        """The JSON body, as PagerDuty words it."""
        return {"error": {"message": self.message, "code": self.code, "errors": list(self.errors)}}


def bad(*errors: str) -> Refused:
    """400: the request itself is wrong."""
    return Refused(400, 2001, "Invalid Input Provided", *errors)


def duplicate() -> Refused:
    """400: an open incident has this incident_key already."""
    reason = "Open incident with matching dedup key already exists on this service"
    return Refused(400, 2002, "Incident Already Exists", reason)


def already_resolved() -> Refused:
    """400: a resolved incident cannot change any more."""
    return Refused(400, 2001, "Incident Already Resolved", "Incident is already resolved")


def unknown_requester() -> Refused:
    """400: the From header names nobody of this account."""
    return Refused(400, 1008, "Requester User Not Found", "The From header must be the email of a valid user")


def unauthorized() -> Refused:
    """401: no API key, or a wrong one."""
    return Refused(401, 2006, "Unauthorized", "Authentication token is missing or invalid")


def unpaid(ability: str) -> Refused:
    """402: the account's plan lacks `ability`."""
    return Refused(402, 2014, "Payment Required", f"Your account does not have the {ability} ability")


def forbidden() -> Refused:
    """403: the key may not do this."""
    return Refused(403, 2010, "Access Denied", "You do not have permission to do this")


def not_found() -> Refused:
    """404: no such thing."""
    return Refused(404, 2100, "Not Found", "Resource not found")


def too_many() -> Refused:
    """429: slow down."""
    return Refused(429, 2020, "Rate Limit Exceeded", "Too many requests")
