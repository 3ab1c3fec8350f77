"""The bucket that the tests of the program use, for what is published into it."""

from tests.cli.conftest import storage

__all__ = ["storage"]
