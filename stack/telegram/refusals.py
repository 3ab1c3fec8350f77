"""What is refused, with the status and the words of the real API.

The words are part of its interface: it has no error codes beyond HTTP's, and clients go by
them.
"""

from collections.abc import Mapping


class Refused(Exception):
    """A request that is answered with an error; nothing was done."""

    def __init__(
        self, status: int, description: str, *, parameters: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, object]:
        """The error as JSON."""
        body: dict[str, object] = {
            "ok": False,
            "error_code": self.status,
            "description": self.description,
        }
        return body if self.parameters is None else {**body, "parameters": self.parameters}


def bad_request(what: str) -> Refused:
    """The request makes no sense, or not now."""
    return Refused(400, f"Bad Request: {what}")


def unauthorized() -> Refused:
    """A token of no bot."""
    return Refused(401, "Unauthorized")


def not_found() -> Refused:
    """No such method, or nothing that could be a token."""
    return Refused(404, "Not Found")


def flood(retry_after_seconds: int) -> Refused:
    """Too many calls."""
    return Refused(
        429,
        f"Too Many Requests: retry after {retry_after_seconds}",
        parameters={"retry_after": retry_after_seconds},
    )


def blocked() -> Refused:
    """The user wants to hear nothing more."""
    return Refused(403, "Forbidden: bot was blocked by the user")


def broken() -> Refused:
    """Something inside failed."""
    return Refused(500, "Internal Server Error")
