"""What is used of pillow-heif, whose own signature of its options is incomplete."""

from pathlib import Path

from PIL.ImageFile import ImageFile

class HeifImageFile(ImageFile):
    def __init__(self, fp: Path) -> None: ...

def register_heif_opener() -> None: ...
