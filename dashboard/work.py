"""The part about work: how much waits, every document with its state, sessions and hosts."""

from datetime import datetime

import streamlit as st

from blocks.database import Database
from dashboard.data import (
    DOCUMENTS_PER_PAGE,
    ReviewQueue,
    Work,
    load_documents,
    load_review_queue,
)
from dashboard.tables import show_table, state_column
from dashboard.wording import duration, minute, reason
from schema.failures import Failure
from sql.claude import OpenBatches
from sql.dashboard import STATUSES, DocumentLine, FailedArrival, HostLine, Place, SessionLine
from sql.jobs import Waiting
from sql.reviews import reason_texts


def show_work(database: Database, work: Work) -> None:
    """Draw counts, what is put off, documents, what to review, failed arrivals, sessions, hosts."""
    if work.counts.is_empty:
        _teach()
        return
    _show_counts(work)
    _show_put_off(work.put_off)
    _show_batches(work.batches)
    _show_documents(database, work.matters)
    _show_review_queue(load_review_queue(database))
    _show_failed_arrivals(work.failed_arrivals)
    _show_sessions(work.sessions, work.at)
    _show_hosts(work.hosts)
    st.caption(f"Rows as of {work.at:%H:%M:%S} UTC. All times are UTC.")


def _teach() -> None:
    st.subheader("No documents yet", anchor=False)
    st.markdown(
        """
Add files or whole folders; reading starts by itself:

```
aseagi add ~/cases/smith-v-jones               # a folder; its name becomes the matter
aseagi add --matter smith-v-jones letter.pdf   # one file
aseagi process --wait                          # watch until all is read
```

Documents appear here within seconds, with their state, what they cost and, if something is
wrong with one, why. `aseagi --help` shows the rest.
"""
    )


def _show_counts(work: Work) -> None:
    counts = work.counts
    groups = {
        "Documents": {
            "queued": counts.jobs_queued,
            "processing": counts.jobs_processing,
            "completed": counts.jobs_completed,
            "failed": counts.jobs_failed,
        },
        "Pages": {
            "waiting": counts.pages_waiting,
            "leased": counts.pages_leased,
            "done": counts.pages_done,
            "failed": counts.pages_failed,
        },
        "Arrivals": {"waiting": counts.arrivals_waiting, "failed": counts.arrivals_failed},
    }
    for column, (title, states) in zip(st.columns([4, 4, 2]), groups.items(), strict=True):
        with column.container(border=True):
            st.markdown(f"**{title}**")
            for cell, (state, count) in zip(st.columns(len(states)), states.items(), strict=True):
                # A metric's figures are too wide for six digits here.
                cell.caption(state)
                cell.markdown(f"#### {count:,}")


def _show_put_off(waiting: list[Waiting]) -> None:
    if not waiting:
        return
    st.subheader("Put off", anchor=False)
    show_table(
        [{"Documents": one.jobs, "Why": one.reason, "Until": minute(one.until)} for one in waiting],
        {
            "Documents": st.column_config.NumberColumn(width=90, format="localized"),
            "Until": st.column_config.TextColumn(width=110),
            "Why": st.column_config.TextColumn(width=900),
        },
        key="put_off",
    )


def _show_batches(batches: OpenBatches) -> None:
    if batches.next_look_at is None:
        return
    questions = "1 question" if batches.calls == 1 else f"{batches.calls:,} questions"
    where = "a batch" if batches.batches == 1 else f"{batches.batches:,} batches"
    st.info(
        f"{questions} with Claude in {where}, at half the price. Answers are looked for again at "
        f"{minute(batches.next_look_at)} UTC.",
        icon=":material/hourglass_top:",
    )


def _places() -> list[Place]:
    """Where the pages of the list turned so far end: none on the newest page."""
    return st.session_state.setdefault("places", [])


def _to_newest() -> None:
    _places().clear()


def _turn_back() -> None:
    _places().pop()


def _turn_to(place: Place) -> None:
    _places().append(place)


def _show_documents(database: Database, matters: list[str]) -> None:
    st.subheader("Documents", anchor=False)
    by_matter, by_status = st.columns([1, 3], vertical_alignment="bottom")
    matter = by_matter.selectbox(
        "Matter", matters, index=None, placeholder="all", key="matter", on_change=_to_newest
    )
    status = by_status.segmented_control("Status", STATUSES, key="status", on_change=_to_newest)
    places = _places()
    documents = load_documents(database, matter, status, places[-1] if places else None)
    if not documents.lines:
        st.info("No document matches these filters." if matter or status else "No documents yet.")
    else:
        show_table(
            [_document(line) for line in documents.lines],
            {
                "Status": state_column(),
                "Document": st.column_config.TextColumn(width="medium"),
                "Title, or why it failed": st.column_config.TextColumn(width=330),
                "Type": st.column_config.TextColumn(width=110),
                "Date": st.column_config.DateColumn(format="D MMM YYYY"),
                "Seconds": st.column_config.NumberColumn(format="%.1f"),
                "Cost": st.column_config.NumberColumn(format="$%.4f"),
            },
            key="documents",
        )
    _show_turning(documents.lines, has_more=documents.has_more)


def _show_turning(lines: list[DocumentLine], *, has_more: bool) -> None:
    places = _places()
    if not (places or has_more):
        return
    first = len(places) * DOCUMENTS_PER_PAGE + 1
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Newer", icon=":material/chevron_left:", disabled=not places, on_click=_turn_back)
        st.button(
            "Older",
            icon=":material/chevron_right:",
            disabled=not has_more,
            on_click=_turn_to,
            args=[lines[-1].place if lines else None],
        )
        st.caption(f"{first:,} to {first + len(lines) - 1:,}, newest first")


def _document(line: DocumentLine) -> dict[str, object]:
    settled = line.status == "completed" and not line.pages_failed
    return {
        "Status": [line.status],
        "Document": line.file_name,
        "Title, or why it failed": reason(line.error) or _titled(line),
        "Type": line.document_type,
        "Date": line.document_date,
        "Matter": line.matter,
        "Pages": str(line.page_count) if settled else f"{line.pages_done} of {line.page_count}",
        "Seconds": line.seconds,
        "Cost": float(line.cost_dollars),
        "Added": minute(line.created_at),
        "Part of": line.part_of,
    }


def _titled(line: DocumentLine) -> str | None:
    """The title; before it, which pages are unread and what the analysis lacks."""
    lacks = line.unread
    if line.analysis_failure is not None:
        failure = Failure.model_validate(line.analysis_failure)  # it names its pages itself
        lacks = f"{lacks} {failure.reason}" if lacks else failure.reason
    return f"{lacks} · {line.title or ''}" if lacks else line.title


def _show_review_queue(queue: ReviewQueue) -> None:
    if not queue.count:
        return
    st.subheader(f"To review: {queue.count:,}", anchor=False)
    show_table(
        [
            {
                "Wants a look": one.file_name,
                "Why": "; ".join(reason_texts(one)),
                "Its title": one.title,
                "Its matter": one.matter,
                "Id": one.id.hex[:8],
            }
            for one in queue.worst
        ],
        {
            "Wants a look": st.column_config.TextColumn(width="medium"),
            "Why": st.column_config.TextColumn(width="large"),
        },
        key="to_review",
    )
    st.caption("The worst first. `aseagi review` lists all of them, and takes off what you saw.")


def _show_failed_arrivals(arrivals: list[FailedArrival]) -> None:
    if not arrivals:
        return
    st.subheader("Arrivals that could not be taken in", anchor=False)
    show_table(
        [
            {
                "Key": one.key,
                "Reason": reason(one.error),
                "Bytes": one.size_bytes,
                "From": one.source,
                "Noticed": minute(one.noticed_at),
            }
            for one in arrivals
        ],
        {
            "Reason": st.column_config.TextColumn(width="large"),
            "Bytes": st.column_config.NumberColumn(format="localized"),
        },
        key="arrivals",
    )


def _show_sessions(sessions: list[SessionLine], now: datetime) -> None:
    st.subheader("Sessions", anchor=False)
    if not sessions:
        st.caption("No session yet: one starts when pages wait to be read.")
        return
    show_table(
        [
            {
                "State": [one.state],
                "Lane": one.lane,
                "Engine": one.engine,
                "Pages read": one.pages_read,
                "Started": minute(one.started_at) if one.started_at else None,
                "Length": duration((one.closed_at or now) - one.started_at)
                if one.started_at
                else None,
                "Last seen": minute(one.last_seen_at) if one.last_seen_at else None,
                "Cost": float(one.cost_dollars),
                "Why it closed": one.close_reason,
                "Wanted by": one.origin,
                "Session": one.id.hex[:8],
            }
            for one in sessions
        ],
        {
            "State": state_column(),
            "Cost": st.column_config.NumberColumn(format="$%.4f"),
            "Why it closed": st.column_config.TextColumn(width="medium"),
        },
        key="sessions",
    )


def _show_hosts(hosts: list[HostLine]) -> None:
    st.subheader("Hosts", anchor=False)
    if not hosts:
        st.caption("No host yet: each session has one.")
        return
    show_table(
        [
            {
                "State": [one.state],
                "Provider": one.provider,
                "Machine": one.machine,
                "GPU": one.gpu_name,
                "Per hour": float(one.dollars_per_hour),
                "Reserved": float(one.reserved_dollars) if one.ended_at is None else None,
                "Since": minute(one.created_at),
                "Ended": minute(one.ended_at) if one.ended_at else None,
                "Why it ended": reason(one.error) or one.end_reason,
                "Label": one.label,
            }
            for one in hosts
        ],
        {
            "State": state_column(),
            "Per hour": st.column_config.NumberColumn(format="$%.4f"),
            "Reserved": st.column_config.NumberColumn(format="$%.4f"),
            "Why it ended": st.column_config.TextColumn(width="medium"),
        },
        key="hosts",
    )
