"""What can go wrong with a request: one error type, one code per cause, and what HTTP, WebSocket and gRPC call it.

Every edge maps `ServingError` in its own way; nothing else of ours reaches a client. Knows no web framework.
"""

import dataclasses
from typing import Any, Literal

Code = Literal[
    "bad_audio", "bad_request", "unauthenticated", "forbidden", "unknown_student", "unknown_voice", "unknown_path",
    "voice_exists", "too_large", "unsupported_format", "invalid_parameter", "busy", "too_slow", "unavailable",
    "internal",
]  # fmt: skip
"""The cause, for programs; stable."""

_STATUS: dict[Code, tuple[int, str]] = {
    "bad_audio": (400, "INVALID_ARGUMENT"),
    "bad_request": (400, "INVALID_ARGUMENT"),
    "unauthenticated": (401, "UNAUTHENTICATED"),
    "forbidden": (403, "PERMISSION_DENIED"),
    "unknown_student": (404, "NOT_FOUND"),
    "unknown_voice": (404, "NOT_FOUND"),
    "unknown_path": (404, "UNIMPLEMENTED"),
    "too_slow": (408, "DEADLINE_EXCEEDED"),
    "voice_exists": (409, "ALREADY_EXISTS"),
    "too_large": (413, "INVALID_ARGUMENT"),
    "unsupported_format": (415, "INVALID_ARGUMENT"),
    "invalid_parameter": (422, "INVALID_ARGUMENT"),
    "busy": (429, "RESOURCE_EXHAUSTED"),
    "internal": (500, "INTERNAL"),
    "unavailable": (503, "UNAVAILABLE"),
}
"""Code -> HTTP status and name of the gRPC status."""


class ServingError(ValueError):
    """A request that is not answered as asked; the message says what was given, what is allowed and what to do next.

    Args:
        code: the cause.
        message: for people.
        retry_after_s: when to try again, where that helps.
    """

    def __init__(self, code: Code, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message, self.retry_after_s = message, retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        """For the way from one replica to another."""
        return _made, (self.code, self.message, self.retry_after_s)

    @property
    def http_status(self) -> int:
        """Status of the HTTP response."""
        return _STATUS[self.code][0]

    @property
    def grpc_status(self) -> str:
        """Name of the member of `grpc.StatusCode`."""
        return _STATUS[self.code][1]

    def body(self) -> dict[str, Any]:
        """The one JSON shape of errors: `{"error": {"code", "message", "retry_after_s"?}}`."""
        content: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.retry_after_s is not None:
            content["retry_after_s"] = self.retry_after_s
        return {"error": content}


def _made(code: Code, message: str, retry_after_s: float | None) -> ServingError:
    return ServingError(code, message, retry_after_s=retry_after_s)


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name of the key, for limits and logs; never the key itself."""

    name: str
    """`anonymous` where no keys are asked for."""


ANONYMOUS = Caller("anonymous")
"""Whoever asks without a key."""
