-- What is asked of Claude, so that no process that dies pays twice or forgets that it paid.
--
-- A call is one request (of one step of one document's analysis). It is written down, with the
-- most it can cost, before it is sent:
--
--     intended --an answer came--------------------> served      paid, and charged
--              --the API refused it----------------> unserved    free
--              --no answer came, or its drain died-> uncertain   perhaps paid: the reserve
--                                                                counts until the month is over
--     uncertain --the answer came after all--------> served
--
-- Calls of a batch wait in `intended` until their batch is settled:
--
--     intended --created--> submitted --all results in--> ended
--              --never created (no listing shows it)----> void
--
-- `intended` is committed before the batch is created: a batch whose creation was not confirmed
-- is looked for in the account's list and known again by its requests' ids, which are those of
-- the calls.

create table aseagi.claude_batches (
    id uuid primary key default gen_random_uuid(),
    state text not null default 'intended'
        check (state in ('intended', 'submitted', 'ended', 'void')),
    -- As the API calls it.
    batch_id text unique,
    size integer not null check (size > 0),
    holder uuid not null,
    created_at timestamptz not null default now(),
    look_at timestamptz not null default now(),
    looks integer not null default 0,
    settled_at timestamptz,
    check ((state in ('submitted', 'ended')) = (batch_id is not null)),
    check ((state in ('ended', 'void')) = (settled_at is not null))
);
create index claude_batches_open on aseagi.claude_batches (look_at) where settled_at is null;

create table aseagi.claude_calls (
    id uuid primary key,
    -- Money spent stays known when the document is gone.
    document_id uuid references aseagi.documents on delete set null,
    step text not null check (step in ('pages', 'whole')),
    first_page integer not null check (first_page >= 1),
    last_page integer not null check (last_page >= first_page),
    -- What is asked: model, prompt, text. Only calls with the same plan count as tries of a step.
    plan text not null,
    round integer not null,
    holder uuid,
    batch uuid references aseagi.claude_batches,
    rehearsal boolean not null,
    model text not null,
    state text not null default 'intended'
        check (state in ('intended', 'served', 'unserved', 'uncertain')),
    reserved_dollars numeric(12, 6) not null check (reserved_dollars >= 0),
    outcome text,
    -- What was wrong with an answer or a request; never text of the document.
    detail text,
    message_id text unique,
    input_tokens integer not null default 0 check (input_tokens >= 0),
    output_tokens integer not null default 0 check (output_tokens >= 0),
    cache_write_tokens integer not null default 0 check (cache_write_tokens >= 0),
    cache_read_tokens integer not null default 0 check (cache_read_tokens >= 0),
    dollars numeric(14, 6) check (dollars >= 0),
    created_at timestamptz not null default now(),
    settled_at timestamptz,
    check ((state = 'intended') = (settled_at is null)),
    check ((state = 'intended') = (outcome is null)),
    check ((state = 'served') = (dollars is not null)),
    check ((state = 'served') = (message_id is not null)),
    check ((holder is null) <> (batch is null))
);
create index claude_calls_document on aseagi.claude_calls (document_id);
create index claude_calls_batch on aseagi.claude_calls (batch) where batch is not null;
-- What counts against the limits: what is open, and what was settled this month.
create index claude_calls_open on aseagi.claude_calls (created_at) include (reserved_dollars)
    where state = 'intended';
create index claude_calls_month on aseagi.claude_calls (settled_at)
    include (state, dollars, reserved_dollars) where state in ('served', 'uncertain');

-- Answers about parts of a document, until the document's analysis is complete.
create table aseagi.claude_answers (
    document_id uuid not null references aseagi.documents on delete cascade,
    plan text not null,
    step text not null,
    first_page integer not null,
    last_page integer not null,
    answer jsonb not null,
    call_id uuid not null references aseagi.claude_calls,
    primary key (document_id, plan, step, first_page, last_page)
);

alter table aseagi.processing_jobs
    -- A job that may not go on yet, and why: money, or trouble with Claude.
    add column waits_until timestamptz,
    add column waits_for text,
    add column waits integer not null default 0,
    -- Counts what a person asked for: tries of an earlier round no longer matter.
    add column analysis_round integer not null default 0,
    add check ((waits_until is null) = (waits_for is null));

-- While it is night, what waits for the night is analysed too, in batches.
alter table aseagi.controls add column night_until timestamptz;

do $$
declare
    one text;
begin
    foreach one in array array['claude_batches', 'claude_calls', 'claude_answers'] loop
        execute format('alter table aseagi.%I enable row level security', one);
        execute format('alter table aseagi.%I force row level security', one);
        execute format('create policy application on aseagi.%I for all to aseagi_app using (true) with check (true)', one);
        execute format('create policy dashboard on aseagi.%I for select to aseagi_dashboard using (true)', one);
        execute format('grant select, insert, update, delete on aseagi.%I to aseagi_app', one);
        execute format('grant select on aseagi.%I to aseagi_dashboard', one);
    end loop;
end
$$;
