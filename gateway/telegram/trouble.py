"""What is logged of an error that nobody foresaw: what and where, never its text."""

import traceback
from pathlib import Path


def where(error: BaseException) -> str:
    """Kind and place of an error. Its text may hold what somebody wrote, or an address."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
