"""What chats are told, as Telegram's HTML. What others wrote never becomes markup.

Links are left open here (`original`, `upload`): `links` makes them when a message is sent,
so that none is stored, and each is as fresh as its message.
"""

import html
import re
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from schema.analysis import Analysis
from schema.failures import AseagiError
from schema.files import TAKEN
from sql.bulks import REASONS, Bulk
from sql.controls import Controls
from sql.documents import DocumentRow
from sql.search import HIGHLIGHT_START, HIGHLIGHT_STOP, Hit
from sql.telegram_replies import SentFile

MOST_CHARACTERS = 3800
"""Telegram takes 4,096 without markup; what links become needs some."""

SUMMARY_CHARACTERS = 1500
PARTIES_SHOWN = 6
FAILURES_SHOWN = 10
LINES_SHOWN = 20

LINK_START, LINK_STOP = "\x02", "\x03"
"""Around a link that is to be made: control characters, which no text of others keeps."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_TAG = re.compile(r"<[^<>]*>")

HELP = f"""\
Send me photos or files ({TAKEN}): I read them and tell you what they are. \
Several pages of one document: send them as one album, in order.

A caption is kept as a note. <code>#smith-v-jones</code> in it names the matter.

/status — what waits and what runs
/search words — pages that say so; <code>"a phrase"</code>, <code>-without</code>
/cost — what this month has cost
/pause — stop all spending
/resume — allow it again
/help — this"""

UNKNOWN = f"I take photos and files ({TAKEN}), and commands: /help lists them."

NOT_A_DOCUMENT = (
    f"Only photos and {TAKEN} files can be read, and this is none of them. /help tells more."
)

LATE = "It came after its album was closed, so it is a document of its own."


def plain(text: str, most: int = 300) -> str:
    """What others wrote, on one line, cut, safe between markup."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    return html.escape(line if len(line) <= most else f"{line[: most - 1].rstrip()}…")


def original(document_id: UUID) -> str:
    """Where a link to the original of a document goes."""
    return f"{LINK_START}original:{document_id}{LINK_STOP}"


def upload(update_id: int) -> str:
    """Where an upload link goes, that of the file which that update brought."""
    return f"{LINK_START}upload:{update_id}{LINK_STOP}"


def visible_length(markup: str) -> int:
    """Characters as Telegram counts them at worst: without markup, in UTF-16."""
    return len(html.unescape(_TAG.sub("", markup)).encode("utf-16-le", "replace")) // 2


def lines(*parts: str | None, most: int = MOST_CHARACTERS) -> str:
    """Lines as one message; those beyond what fits are left out, and it says so."""
    kept: list[str] = []
    room = most
    wanted = [part for part in parts if part is not None]
    for part in wanted:
        room -= visible_length(part) + 1
        if room < 0:
            kept.append("…")
            break
        kept.append(part)
    return "\n".join(kept).strip() or "…"


def dollars(amount: Decimal) -> str:
    """An amount; cents of a cent where it is small."""
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.4f}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


# As the work proceeds


def progress(files: Sequence[SentFile], controls: Controls) -> str:
    """What the one message says that is edited: where everything stands that was sent."""
    if len(files) == 1:
        return _progress_of_one(files[0], controls)
    return _progress_of_many(files, controls)


def _progress_of_one(file: SentFile, controls: Controls) -> str:
    state, detail = _standing(file, controls)
    return lines(
        f"<b>{plain(file.name, 100)}</b>",
        _upload_offer(file) if state == "to upload" else _said(state, detail),
        plain(file.remark) if file.remark else None,
    )


def _upload_offer(file: SentFile) -> str:
    return (
        "It is larger than 20 MB, more than Telegram hands to bots. "
        f"Bring it here, once: {upload(file.update_id)}"
    )


def _said(state: str, detail: str | None) -> str:
    return f"{state}: {plain(detail, 500)}" if detail else state


_ORDER: tuple[str, ...] = (
    "done",
    "known already",
    "analysing",
    "reading",
    "received",
    "waits",
    "failed",
)


def _progress_of_many(files: Sequence[SentFile], controls: Controls) -> str:
    counts: dict[str, int] = dict.fromkeys(_ORDER, 0)
    reasons: dict[str, int] = {}
    for file in files:
        state, detail = _standing(file, controls)
        counts[state] = counts.get(state, 0) + 1
        if state in {"waits", "failed"} and detail:
            said = f"{state}: {detail}"
            reasons[said] = reasons.get(said, 0) + 1
    reading = [file for file in files if _standing(file, controls)[0] == "reading"]
    pages = (sum(file.pages_settled for file in reading), sum(file.pages for file in reading))
    told = [
        f"{number:,} {state}" + (f" ({pages[0]:,} of {pages[1]:,} pages)" * (state == "reading"))
        for state, number in counts.items()
        if number
    ]
    remarks = sum(file.remark is not None for file in files)
    return lines(
        f"<b>{counted(len(files), 'file')}</b>: {', '.join(told)}",
        *(
            f"{number}× {plain(reason, 300)}"
            for reason, number in sorted(reasons.items(), key=lambda one: -one[1])[:REASONS]
        ),
        f"{remarks}× {plain(LATE)}" if remarks else None,
    )


def _standing(file: SentFile, controls: Controls) -> tuple[str, str | None]:
    """One word for where a file stands, and a detail."""
    if file.ended:
        return _end_of(file)
    if file.is_link and not file.stored:
        return "to upload", None
    if not file.stored:
        return ("waits", file.waits) if file.waits else ("received", None)
    if file.status is None:
        return "received", None
    if file.stage == "analyse":
        if file.job_waits_for:
            return "waits", file.job_waits_for
        return "analysing", None
    if controls.paused:
        return "waits", f"spending is paused ({controls.paused_reason}); /resume allows it again"
    return "reading", f"{file.pages_settled:,} of {counted(file.pages, 'page')}"


def _end_of(file: SentFile) -> tuple[str, str | None]:
    if file.status == "completed":
        return ("known already" if file.known_before else "done"), None
    return "failed", reason_of(file)


def reason_of(file: SentFile) -> str:
    """Why a file came to nothing, and the way out."""
    if file.refused is not None:
        return file.refused
    if file.is_link and not file.stored:
        return "Nothing came through the upload link. Send the file again for a new one."
    if file.arrival_state == "superseded":
        return "It was gone before it could be read. Send it again."
    error = file.arrival_error or file.job_error or {}
    reason = str(error.get("reason") or "The reason is not known.")
    helps = " `aseagi retry` tries it again." if error.get("retry_helps") else ""
    return reason + helps


# At the end


def analysis_message(file: SentFile, row: DocumentRow) -> str:
    """What a document is: the answer to who sent it."""
    analysis = _analysis(row)
    dated = f"{row.document_date:%d %B %Y}".lstrip("0") if row.document_date else "no date"
    about = [row.document_type or "not analysed", dated, counted(row.page_count, "page")]
    return lines(
        f"<b>{plain(row.title or row.file_name)}</b>",
        plain(" · ".join([*about, *([row.matter] if row.matter else [])])),
        "<i>Known already: it came before, and was read then.</i>" if file.known_before else None,
        "",
        plain(analysis.summary, SUMMARY_CHARACTERS) if analysis and analysis.summary else None,
        _parties(analysis) if analysis else None,
        _missing(row),
        f"Cost: {dollars(row.cost_dollars)}" if row.cost_dollars else None,
        original(row.id),
    )


def _analysis(row: DocumentRow) -> Analysis | None:
    try:
        return Analysis.model_validate(row.analysis) if row.analysis else None
    except (ValueError, AseagiError):  # of a version that is newer than this program
        return None


def _parties(analysis: Analysis) -> str | None:
    named = [f"{one.name} ({one.role})" for one in analysis.parties[:PARTIES_SHOWN]]
    more = len(analysis.parties) - len(named)
    if not named:
        return None
    return plain("Parties: " + ", ".join(named) + (f" and {more} more" if more else ""), 700)


def _missing(row: DocumentRow) -> str | None:
    missing = [
        _sentence(row.unread),
        str((row.analysis_failure or {}).get("reason") or "") or None,
    ]
    said = " ".join(one for one in missing if one)
    return f"<b>Incomplete:</b> {plain(said, 500)}" if said else None


def _sentence(said: str | None) -> str | None:
    return said[:1].upper() + said[1:] if said else None


def failure_message(file: SentFile) -> str:
    """Why a file came to nothing, as the answer to who sent it."""
    return lines(f"<b>{plain(file.name, 100)}</b>: this did not work.", plain(reason_of(file), 700))


def digest_message(files: Sequence[SentFile], rows: Sequence[DocumentRow]) -> str:
    """What many files came to, when there are too many for a message each."""
    failed = [file for file in files if _end_of(file)[0] == "failed"]
    known = sum(_end_of(file)[0] == "known already" for file in files)
    done = len(files) - len(failed)
    cost = sum((row.cost_dollars for row in rows), Decimal(0))
    said = [f"{done:,} done", f"{len(failed):,} failed"]
    return lines(
        f"<b>{', '.join(said)}</b>" + (f" ({known:,} known already)" if known else ""),
        f"Cost: {dollars(cost)}" if cost else None,
        "",
        *(
            f"✗ {plain(file.name, 60)}: {plain(reason_of(file), 200)}"
            for file in failed[:FAILURES_SHOWN]
        ),
        f"✗ and {len(failed) - FAILURES_SHOWN:,} more" if len(failed) > FAILURES_SHOWN else None,
        *(_line_of(row) for row in [row for row in rows if row.analysis][:LINES_SHOWN]),
        "",
        "/search finds their pages, with links.",
    )


def _line_of(row: DocumentRow) -> str:
    dated = f", {row.document_date:%Y-%m-%d}" if row.document_date else ""
    return f"• {plain(row.title or row.file_name, 80)} ({plain(row.document_type or '')}{dated})"


def bulk_message(bulk: Bulk) -> str:
    """What a bulk came to."""
    return lines(
        f"<b>{bulk.done:,} done, {bulk.failed:,} failed</b> "
        f"({counted(bulk.pages, 'page')}, {dollars(bulk.dollars)}) "
        f"since {bulk.since:%d %B, %H:%M} UTC",
        *(f"✗ {one.documents:,}× {plain(one.reason, 300)}" for one in bulk.reasons),
        f"{counted(bulk.put_off, 'document')} put off: /status says why." if bulk.put_off else None,
        "`aseagi retry` tries again what failed." if bulk.failed else None,
    )


# Answers


def search_message(query: str, hits: Sequence[Hit]) -> str:
    """The best pages, with the words around what was found."""
    if not hits:
        return f"No page says {plain(query, 100)}."
    return "\n\n".join(_hit(hit) for hit in hits)


def _hit(hit: Hit) -> str:
    snippet = ""
    for part in " ".join(hit.snippet.split()).split(HIGHLIGHT_START):
        found, mark, rest = part.rpartition(HIGHLIGHT_STOP)
        snippet += f"<b>{plain(found)}</b>" if mark else ""
        lead, tail = (" " * rest.startswith(" ")), (" " * rest.endswith(" "))
        snippet += f"{lead}{plain(rest)}{tail}" if rest.strip() else rest
    where = " · ".join([f"page {hit.page}", *([hit.matter] if hit.matter else [])])
    return (
        f"<b>{plain(hit.title or hit.file_name, 120)}</b>\n"
        f"{plain(where)} · {original(hit.document_id)}\n{snippet.strip()}"
    )
