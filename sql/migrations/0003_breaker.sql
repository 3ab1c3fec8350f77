-- What the breaker needs to know: whether a session's host was worth its rent.
--
-- `barren`: the session's host ended by no wish of ours and had not one page accepted.
-- Three barren sessions in a row, since spending was last resumed, stop all spending.
-- `leased_fresh`: it was lent at least one page that had not ended a host before. A
-- session lent nothing but suspects says nothing about hosts: it is not barren.

alter table aseagi.ocr_sessions
    add column barren boolean not null default false,
    add column leased boolean not null default false,
    add column leased_fresh boolean not null default false;

alter table aseagi.controls add column resumed_at timestamptz;

create index ocr_sessions_ended on aseagi.ocr_sessions (closed_at)
    where state = 'closed' and started_at is not null;

-- Pages that have ended a host come after all fresh ones of their lane.
drop index aseagi.pages_waiting;
create index pages_waiting on aseagi.pages
    (lane, (attempts > 0), queued_at, document_id, number) where state = 'waiting';
