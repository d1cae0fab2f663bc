"""What the API server says no with: a `Status` object and its HTTP code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.cluster.kinds import Kind, Object


class ApiError(Exception):
    """`code` is the HTTP status, `reason` the machine's word for it; `causes` are `{"reason", "message", "field"}`."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        causes: Sequence[dict[str, str]] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.retry_after = code, reason, message, retry_after
        self.details = dict(details or {}) | ({"causes": list(causes)} if causes else {})

    def status(self) -> Object:
        """The body of the answer."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def not_found(kind: Kind, name: str) -> ApiError:
    """404."""
    return ApiError(404, "NotFound", f'{kind.title} "{name}" not found', details=_about(kind, name))


def exists(kind: Kind, name: str) -> ApiError:
    """409: the name is taken."""
    return ApiError(409, "AlreadyExists", f'{kind.title} "{name}" already exists', details=_about(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> ApiError:
    """409: somebody was faster."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.title} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_about(kind, name))


def invalid(kind: Kind, name: str, field: str, why: str) -> ApiError:
    """422: the object is not one."""
    group = f".{kind.group}" if kind.group else ""
    message = f'{kind.name}{group} "{name}" is invalid: {field}: {why}'
    cause = {"reason": "FieldValueInvalid", "message": why, "field": field}
    return ApiError(422, "Invalid", message, details=_about(kind, name), causes=[cause])


def unprocessable(why: str = "the server rejected our request due to an error in our request") -> ApiError:
    """422: the patch does not fit."""
    return ApiError(422, "Invalid", why)


def bad_request(why: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", why)


def expired(why: str) -> ApiError:
    """410: that far back nothing is known."""
    return ApiError(410, "Expired", why)


def _about(kind: Kind, name: str) -> dict[str, Any]:
    return {"name": name, "kind": kind.plural} | ({"group": kind.group} if kind.group else {})
