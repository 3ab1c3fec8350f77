"""PDFs that an export makes, through the real flow, bucket and program."""

import csv
import json
from pathlib import Path, PurePosixPath

import pypdfium2 as pdfium

from blocks.object_storage import ObjectStorage
from sql.connection import Connection
from stack.embedded import BUCKET, Stack
from tasks.publishing.searchable import searchable_key
from tests.e2e.conftest import drop, eventually, statuses
from tests.e2e.test_commands import aseagi, environment

__all__ = ["environment"]

SETTLEMENT = Path(__file__).parents[2] / "samples/smith-v-jones/settlement-agreement.pdf"


def text_of(pdf: Path) -> str:
    return pdfium.PdfDocument(pdf)[0].get_textpage().get_text_bounded()


async def test_an_export_holds_searchable_pdfs_and_the_report_and_makes_each_once(
    stack: Stack,
    empty: None,
    db: Connection,
    storage: ObjectStorage,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    client = storage.client()
    (key,) = drop(stack, "handed-on", 1)
    name = PurePosixPath(key).name
    born = SETTLEMENT.read_bytes() + b"%\n"  # another content than where else the sample serves
    client.put_object(Bucket=BUCKET, Key="raw/handed-on/settlement.pdf", Body=born)
    broken = b"%PDF-1.7\nnothing at all\n%%EOF\n"
    client.put_object(Bucket=BUCKET, Key="raw/handed-on/broken.pdf", Body=broken)

    async def settled() -> bool:
        return await statuses(db, "handed-on") == {"completed": 2, "failed": 1}

    await eventually(settled)

    def export(to: str) -> tuple[Path, dict[str, dict[str, str]]]:
        words = ("--matter", "handed-on", "--searchable", "--to", str(tmp_path / to), "--json")
        done = aseagi("export", *words, environment=environment)
        assert done.returncode == 0, done.stderr
        folder = Path(json.loads(done.stdout)["folder"])
        with (folder / "searchable.csv").open(encoding="utf-8-sig", newline="") as file:
            return folder, {row["File"]: row for row in csv.DictReader(file)}

    folder, rows = export("first")
    scan, agreement, failed = (rows[one] for one in (name, "settlement.pdf", "broken.pdf"))
    assert (scan["PDF/A"], scan["Pages with text laid behind"]) == ("2b", "1")
    assert "dated March 3, 2024" in text_of(folder / scan["Searchable PDF"])
    assert (folder / agreement["Searchable PDF"]).read_bytes() == born
    assert (failed["Searchable PDF"], failed["Note"]) == (
        "",
        "It could not be opened, so there is nothing to lay words on.",
    )
    report = pdfium.PdfDocument(folder / "case-report.pdf")
    assert "handed-on" in report[0].get_textpage().get_text_bounded()
    assert {path.name for path in folder.iterdir()} >= {"documents.xlsx", "documents.csv"}

    cursor = await db.execute(
        "select id, s3_processed_path from aseagi.documents where file_name = %s", (name,)
    )
    row = await cursor.fetchone()
    assert row is not None
    document_id, original = row
    key = searchable_key(original)
    made_at = client.head_object(Bucket=BUCKET, Key=key)["LastModified"]
    export("second")
    assert client.head_object(Bucket=BUCKET, Key=key)["LastModified"] == made_at

    first = client.head_object(Bucket=BUCKET, Key=key)["Metadata"]["version"]
    await db.execute(
        "update aseagi.pages set settled_at = now() where document_id = %s", (document_id,)
    )
    shown = tmp_path / "letter.pdf"
    done = aseagi("show", str(document_id), "--pdf", str(shown), environment=environment)
    assert "PDF/A-2b, text laid behind 1 of 1 pages." in " ".join(done.stdout.split()), done.stderr
    assert "dated March 3, 2024" in text_of(shown)
    assert client.head_object(Bucket=BUCKET, Key=key)["Metadata"]["version"] != first
