"""Makes a corpus: `python -m bench.corpus --documents 1000 --seed 7 --to DIR`."""

import argparse
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.corpus.making import write_corpus


def main() -> None:
    """Make the files, and tell how many of which kind there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--to", type=Path, required=True, help="a folder that is empty or new")
    options = parser.parse_args()
    if options.to.exists() and any(options.to.iterdir()):
        raise SystemExit(f"{options.to} is not empty")
    began, kinds, size = time.monotonic(), Counter[str](), 0
    for entry in write_corpus(options.to, documents=options.documents, seed=options.seed):
        kinds["twin" if entry.twin_of else entry.truth.kind] += 1
        size += entry.truth.size_bytes
    table = Table(title=f"{kinds.total()} files, {size / 1e6:.0f} MB, seed {options.seed}")
    table.add_column("kind")
    table.add_column("files", justify="right")
    for kind, count in kinds.most_common():
        table.add_row(kind, str(count))
    console = Console()
    console.print(table)
    console.print(f"made in {time.monotonic() - began:.0f} s, in {options.to}")


if __name__ == "__main__":
    main()
