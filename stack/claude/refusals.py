"""What is refused, with the status and error type the real API answers.

Messages are those of the real API where they are known. Clients should branch on the
status and the type: the API's authors say that the wording may change.
"""

from collections.abc import Mapping


class Refused(Exception):
    """A request that is answered with an error; nothing was done, nothing is billed."""

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *,
        details: Mapping[str, object] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.details = details
        self.retry_after_seconds = retry_after_seconds

    def body(self, request_id: str) -> dict[str, object]:
        """The error as JSON."""
        error: dict[str, object] = {"type": self.error_type, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return {"type": "error", "error": error, "request_id": request_id}


def invalid(message: str, *, details: Mapping[str, object] | None = None) -> Refused:
    """The request makes no sense."""
    return Refused(400, "invalid_request_error", message, details=details)


def not_rehearsed(field: str) -> Refused:
    """The real API knows it, the rehearsal does not."""
    return invalid(f"{field}: not rehearsed here, although the real API knows it")


def unauthorized(message: str) -> Refused:
    """No key, or one that nobody has."""
    return Refused(401, "authentication_error", message)


def not_found(message: str) -> Refused:
    """No such path, model or batch."""
    return Refused(404, "not_found_error", message)


def too_large() -> Refused:
    """More bytes than the endpoint takes."""
    return Refused(413, "request_too_large", "Request exceeds the maximum size")


def rate_limited(retry_after_seconds: int) -> Refused:
    """Too many requests or tokens a minute."""
    return Refused(
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit. Please try again later.",
        retry_after_seconds=retry_after_seconds,
    )


def broken() -> Refused:
    """Something inside failed."""
    return Refused(500, "api_error", "Internal server error")


def overloaded() -> Refused:
    """Too much is asked by everybody together."""
    return Refused(529, "overloaded_error", "Overloaded")
