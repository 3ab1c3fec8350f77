-- Telegram: what came in, what was sent together, and what a chat should show.
--
-- An update is written down before Telegram is answered 200, once, however often it is sent:
--
--     gathering --nothing more came of its album--> waiting --done, or refused with a reason--> settled
--
-- `gathering` is an album's piece without a `lead`; everything else waits from the start, its own
-- lead. All pieces with one lead are one piece of work, and which they are never changes: the
-- same work has the same result however often it is begun. The attempt is counted, and the work
-- claimed, before it begins. What happens if the gateway is killed
--
--   after the row is written, before 200      Telegram sends it again; the row is there
--   after the claim                           the next gateway begins it again (at once: a gateway
--                                             that starts frees all claims)
--   after the chat's reply is opened          it is found again: one line per update
--   while the file is fetched or bound        nothing is there yet
--   after the file lies in the inbox          it is found again by key and content
--   the transaction that settles              arrival, note, what the reply shows of it, answers,
--                                             and the update's end: all or nothing
--   before the wake-up                        the sweep of every minute finds the arrival
--
-- A message is what a chat should show (`wanted`) and what it does (`shown`):
--
--     to send --sent, with Telegram's id--> shown --wanted changes--> to edit --edited--> shown
--         any --the chat cannot be written to--> given up
--
--   killed between Telegram's answer and our commit: a new message is sent a second time (the
--   Bot API has no key that would prevent it), an edit is repeated without effect. None is lost.
--
-- A reply is what one chat sent within a short time, told of in one message that is edited:
--
--     open --everything in it is at its end--> ended, in one transaction with what is said of it

create table aseagi.telegram_updates (
    update_id bigint primary key,
    chat_id bigint not null,
    message_id bigint not null,
    album text,
    has_file boolean not null,
    message jsonb not null,
    received_at timestamptz not null default now(),
    lead bigint,
    -- A piece that came after its album was closed.
    late boolean not null default false,
    attempts integer not null default 0 check (attempts >= 0),
    waits integer not null default 0 check (waits >= 0),
    due_at timestamptz not null default now(),
    claimed_until timestamptz,
    settled_at timestamptz,
    check (lead is not null or album is not null),
    check (lead is not null or settled_at is null)
);
create index telegram_updates_waiting on aseagi.telegram_updates (due_at)
    where settled_at is null and lead = update_id;
create index telegram_updates_gathering on aseagi.telegram_updates (chat_id, album)
    where lead is null;
create index telegram_updates_album on aseagi.telegram_updates (chat_id, album)
    where album is not null;
create index telegram_updates_lead on aseagi.telegram_updates (lead);
create index telegram_updates_open on aseagi.telegram_updates (chat_id) where settled_at is null;
create index telegram_updates_settled on aseagi.telegram_updates (settled_at)
    where settled_at is not null;

create table aseagi.telegram_messages (
    id bigint generated always as identity primary key,
    chat_id bigint not null,
    -- The person's message it answers.
    reply_to bigint,
    -- Markup without links: those are made when it is sent, and stand nowhere.
    wanted text not null check (wanted <> ''),
    shown text,
    message_id bigint,
    attempts integer not null default 0,
    due_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    given_up text,
    check ((shown is null) = (message_id is null))
);
create index telegram_messages_to_tell on aseagi.telegram_messages (chat_id, due_at)
    where given_up is null and (shown is null or shown <> wanted);

create table aseagi.telegram_replies (
    id uuid primary key default gen_random_uuid(),
    chat_id bigint not null,
    message bigint not null references aseagi.telegram_messages,
    -- Whether what is sent next may be told of in the same message.
    shared boolean not null,
    opened_at timestamptz not null default now(),
    joined_at timestamptz not null default now(),
    ended_at timestamptz
);
create index telegram_replies_open on aseagi.telegram_replies (chat_id) where ended_at is null;
create index telegram_replies_ended on aseagi.telegram_replies (ended_at)
    where ended_at is not null;

-- A file somebody sent, and the arrival it became (key, ETag, size). One row per update that
-- brought a document; an album bound together is the row of its lead.
create table aseagi.telegram_files (
    update_id bigint primary key,
    reply_id uuid not null references aseagi.telegram_replies on delete cascade,
    message_id bigint not null,
    name text not null,
    created_at timestamptz not null default now(),
    key text,
    etag text,
    size_bytes bigint,
    link_id uuid references aseagi.upload_links on delete set null,
    -- Why it could not be taken; why it is not fetched yet; what else the sender should know.
    refused text,
    waits text,
    remark text,
    check ((key is null) = (etag is null) and (key is null) = (size_bytes is null)),
    check (key is null or refused is null)
);
create index telegram_files_reply on aseagi.telegram_files (reply_id);
create index telegram_files_arrival on aseagi.telegram_files (key) where key is not null;

-- What was told of bulks: each digest counts from the end of the one before.
create table aseagi.telegram_digests (
    id bigint generated always as identity primary key,
    -- The one before; unique, so that of two that count the same documents one is kept.
    follows bigint unique references aseagi.telegram_digests,
    until timestamptz not null,
    done integer not null,
    failed integer not null,
    dollars numeric(14, 6) not null
);
insert into aseagi.telegram_digests (until, done, failed, dollars) values (now(), 0, 0, 0);

create index processing_jobs_ended on aseagi.processing_jobs (completed_at)
    where completed_at is not null;

do $$
declare
    one text;
begin
    foreach one in array array['telegram_updates', 'telegram_messages', 'telegram_replies', 'telegram_files', 'telegram_digests'] loop
        execute format('alter table aseagi.%I enable row level security', one);
        execute format('alter table aseagi.%I force row level security', one);
        execute format('create policy application on aseagi.%I for all to aseagi_app using (true) with check (true)', one);
        execute format('grant select, insert, update, delete on aseagi.%I to aseagi_app', one);
    end loop;
end
$$;
