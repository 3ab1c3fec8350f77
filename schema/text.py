"""Text that every store can hold."""

from typing import Annotated

from pydantic import AfterValidator

Text = Annotated[str, AfterValidator(lambda text: text.replace("\x00", ""))]
"""Text without NUL, which Postgres cannot store and no person writes."""
