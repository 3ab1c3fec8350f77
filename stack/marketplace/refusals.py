"""What the market refuses, with the status and body the real API answers."""

from collections.abc import Mapping


class Refused(Exception):
    """A request that is answered with an error; nothing was done."""

    def __init__(
        self, status: int, error: str, message: str, more: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"success": False, "error": error, "msg": message, **(more or {})}


def offer_taken(ask_id: int, shape: str) -> Refused:
    """The three answers seen for an offer that is gone, by the first digits of each."""
    if shape == "410":
        return Refused(
            410,
            "no_such_ask",
            f"error 410/3907: Instance type by id {ask_id} is no longer available.",
            {"ask_id": ask_id},
        )
    message = f"error 404/3603: no_such_ask Instance type by id {ask_id} is not available."
    return Refused(400 if shape == "400" else 404, "invalid_args", message, {"ask_id": ask_id})


def no_such_instance(instance_id: int) -> Refused:
    """The instance is not there, or not any more."""
    return Refused(404, "no_such_instance", f"error 404/3010: no such instance {instance_id}.")


def insufficient_credit() -> Refused:
    """Nothing is left to pay with."""
    return Refused(
        400,
        "insufficient_credit",
        "error 400/3470: insufficient_credit Your account lacks credit; please add some.",
    )


def invalid(message: str, error: str = "invalid_args") -> Refused:
    """The request makes no sense."""
    return Refused(400, error, message)


def unknown_key() -> Refused:
    """A key nobody has. The real one answers 404, as for things that are gone."""
    return Refused(404, "auth_error", "Invalid user key")


def login_needed() -> Refused:
    """No key was sent."""
    return Refused(403, "auth_error", "This action requires login.")


def not_permitted() -> Refused:
    """The key is known, but not for this."""
    return Refused(403, "auth_error", "This API key is not permitted to do that.")
