"""Secrets in plain models: hidden wherever they are shown, whole where they are handed on."""

from typing import Annotated

from pydantic import ConfigDict, PlainSerializer, SecretStr

Secret = Annotated[
    SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), when_used="json")
]
"""Hidden in `repr` and `str`; `model_dump_json` has it, for a pipe to a child and no log."""

QUIET = ConfigDict(hide_input_in_errors=True)
"""For models and blocks that hold secrets: what is wrong with a value is said without it."""
