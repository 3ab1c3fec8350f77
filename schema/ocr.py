"""What an OCR engine found on a page.

Coordinates are fractions of the page *as rendered* (a PDF's /Rotate and a photo's
EXIF orientation already applied), origin top left, x to the right, y down. They
are independent of resolution, so a result fits a thumbnail and a 600 dpi scan.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schema.text import Text

Fraction = Annotated[float, Field(ge=-0.05, le=1.05, allow_inf_nan=False)]
"""A coordinate as a share of the page's width or height; text at an edge may stick out a little."""

Rotation = Literal[0, 90, 180, 270]
"""A clockwise turn in degrees."""

Point = tuple[Fraction, Fraction]


class Word(BaseModel):
    """A word and where it stands."""

    model_config = ConfigDict(extra="forbid")

    text: Text = Field(min_length=1, max_length=1000)
    quad: tuple[Point, Point, Point, Point] = Field(
        description="Corners clockwise from the word's own top left, as a reader of the upright "
        "text sees it: on a page scanned sideways the first corner is not the topmost one."
    )
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)
    line: int = Field(
        ge=0,
        le=1_000_000,
        description="Index of the text line the word belongs to, from 0.",
    )


class PageText(BaseModel):
    """Everything an engine read on one page."""

    model_config = ConfigDict(extra="forbid")

    text: Text = Field(
        max_length=1_000_000, description="The words in reading order, lines separated by newlines."
    )
    words: list[Word] = Field(max_length=20_000)
    width_pixels: int = Field(ge=1, le=100_000, description="Of the page image as rendered.")
    height_pixels: int = Field(ge=1, le=100_000)
    rotation_degrees: Rotation = Field(
        default=0, description="Clockwise turn that makes the page upright."
    )
    is_blank: bool = Field(
        default=False,
        description="Nothing is on the page but paper; a picture without words is not blank.",
    )
    engine: Text = Field(max_length=100, description="Engine and model, e.g. `rapidocr 3.10.0`.")
    seconds: float = Field(
        ge=0, le=86_400, allow_inf_nan=False, description="Time the engine spent on this page."
    )

    @model_validator(mode="after")
    def _blank_is_empty(self) -> Self:
        if self.is_blank and (self.words or self.text):
            raise ValueError("a page with words is not blank")
        return self

    @property
    def confidence(self) -> float:
        """Mean word confidence; 1.0 for a page without words."""
        if not self.words:
            return 1.0
        return sum(word.confidence for word in self.words) / len(self.words)
