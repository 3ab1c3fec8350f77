"""Typesetting a case report, in a process of its own: what typst takes for it goes with it.

`python -m tasks.publishing.typesetting FOLDER` reads `data.json` there and leaves `report.pdf`.
"""

import asyncio
import json
import os
import resource
import shutil
import signal
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import typst

from schema.failures import BadInput
from tasks.publishing.letters import Letters

HOME = Path(__file__).parents[2]
TEMPLATE = Path(__file__).with_name("case_report.typ")

STANDARD = "a-2b"
"""PDF/A for archives, as the searchable PDFs are."""

SECONDS = 300

MEMORY_BYTES = 2 * 1024**3
"""Of addresses; what is touched of it is a few hundred megabytes."""

LETTERS_LACKING = "Letters for which no font is installed are shown as □; the workbook has them."


async def typeset(folder: Path, data: dict[str, Any]) -> Path:
    """Set the report in `folder`; returns the PDF. Raises `BadInput` when it cannot be set."""
    (folder / "data.json").write_text(json.dumps(data))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tasks.publishing.typesetting",
        str(folder),
        cwd=HOME,
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(HOME)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            code = await process.wait()
    except TimeoutError:
        raise BadInput("Setting the case report took too long.") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        raise BadInput(f"The case report could not be set (exit code {code}).")
    return folder / "report.pdf"


def main(folder: Path) -> None:
    """What the process does."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    set_report(json.loads((folder / "data.json").read_bytes()), folder)


def set_report(data: dict[str, Any], folder: Path) -> None:
    """Set `report.pdf` from the data of a report. What documents say stays strings."""
    letters = Letters()
    shown = letters.shown(data)
    if letters.missing:
        shown["remarks"].append(LETTERS_LACKING)
    fonts = folder / "fonts"
    fonts.mkdir()
    for number, font in enumerate(letters.font_files):
        shutil.copyfile(font, fonts / f"{number:03d}{font.suffix}")
    typst.compile(
        TEMPLATE,
        output=folder / "report.pdf",
        root=TEMPLATE.parent,
        font_paths=[fonts],
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(shown | {"fonts": letters.families}, ensure_ascii=False)},
        pdf_standards=STANDARD,
        timestamp=datetime.fromisoformat(data["prepared_at"]),
        # A tree for screen readers takes as much memory again as the pages.
        pdf_tags=False,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
