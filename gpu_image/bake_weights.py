"""Put docTR's weights into the image: `python -m gpu_image.bake_weights`, while it is built.

docTR's own loader downloads each file into `$DOCTR_CACHE_DIR/models`, compares it with the
hash in its name and loads it into its model. What is baked is therefore what the engine
looks for when it starts, and it finds it without a network. Afterwards every file in the
folder is compared once more: a build whose weights are not what their names say fails.
"""

import hashlib
import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

MODELS = ("fast_base", "crnn_vgg16_bn", "mobilenet_v3_small_page_orientation")
"""The engine's defaults: finds words, reads them, says which way up a page is."""

HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")
"""As docTR names its files: `fast_base-688a8b34.pt`."""


def bake(models: tuple[str, ...] = MODELS) -> None:
    """Have docTR download, check and load each of `models`; what lies there is not fetched."""
    # Only the image installs docTR: a type checker elsewhere cannot follow an import of it.
    doctr: Any = importlib.import_module("doctr.models")
    for name in models:
        getattr(doctr, name)(pretrained=True)


def verify(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in `folder`, by name.

    Raises `ValueError` when one does not begin with the hash in its file's name, when a
    name has none, or when there is no file at all.
    """
    sums: dict[str, str] = {}
    for file in sorted(folder.iterdir()):
        said = HASH_IN_NAME.search(file.name)
        if said is None:
            raise ValueError(f"{file.name} has no hash in its name.")
        with file.open("rb") as content:
            sums[file.name] = hashlib.file_digest(content, "sha256").hexdigest()
        if not sums[file.name].startswith(said[1]):
            raise ValueError(f"{file.name} is not what its name says: {sums[file.name]}.")
    if not sums:
        raise ValueError(f"There are no weights in {folder}.")
    return sums


def main() -> int:
    """Bake the models named on the command line, or the engine's defaults; show their hashes."""
    bake(tuple(sys.argv[1:]) or MODELS)
    for name, digest in verify(Path(os.environ["DOCTR_CACHE_DIR"], "models")).items():
        print(f"{digest}  {name}", flush=True)  # noqa: T201 - for the log of the build
    return 0


if __name__ == "__main__":
    sys.exit(main())
