"""How urgent a piece of work is."""

from enum import StrEnum


class Lane(StrEnum):
    """Lanes in order of urgency; the order is also the order in Postgres.

    - `now`: a person waits for the answer (Telegram, web).
    - `bulk`: as soon as possible, on the cheapest host.
    - `nightly`: waits for the nightly run, which analyses at half price.
    """

    NOW = "now"
    BULK = "bulk"
    NIGHTLY = "nightly"


DAYTIME = (Lane.NOW, Lane.BULK)
"""Lanes that are worked on at once; what is of the nightly lane waits for the night."""
