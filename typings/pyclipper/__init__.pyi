"""What is used of pyclipper, which carries no types."""

# ruff: noqa: N802 - the names are pyclipper's

import numpy as np
from numpy.typing import NDArray

JT_ROUND: int
ET_CLOSEDPOLYGON: int

class PyclipperOffset:
    def AddPath(self, path: NDArray[np.floating], join_type: int, end_type: int) -> None: ...
    def Execute(self, delta: float) -> list[list[list[int]]]: ...
