-- A person's hand: what people correct, review and delete.
--
-- The states are drawn where they are moved: sql/corrections.py, sql/reviews.py, sql/deletions.py.

-- What a person said of a document. It is in force until the same field is corrected again
-- (`replaced`) or it is taken back (`undone`); nothing is ever removed but with its document.
create table aseagi.corrections (
    id bigint generated always as identity primary key,
    document_id uuid not null references aseagi.documents on delete cascade,
    field text not null check (field in ('type', 'title', 'date', 'parties', 'matter')),
    -- JSON's null: there is none, says the person.
    value jsonb not null,
    -- What would stand there without it; follows the analyst for as long as it is in force.
    previous jsonb not null,
    said_by text not null check (said_by <> ''),
    said_at timestamptz not null default now(),
    ended_as text check (ended_as in ('replaced', 'undone')),
    ended_by text,
    ended_at timestamptz,
    check ((ended_as is null) = (ended_at is null)),
    check ((ended_as is null) = (ended_by is null))
);
create unique index corrections_in_force on aseagi.corrections (document_id, field)
    where ended_as is null;
create index corrections_document on aseagi.corrections (document_id, id);

-- What a person says of a document stands before there is an analysis too.
alter table aseagi.documents
    drop constraint documents_check,
    add check (analysis is null or document_type is not null);

-- What a review looks at, without taking each analysis apart.
alter table aseagi.documents
    add column analysis_confidence real generated always as
        ((analysis ->> 'confidence')::real) stored,
    add column quotes_not_found integer generated always as (jsonb_array_length(
        jsonb_path_query_array(analysis, '$.*[*] ? (@.supported == false && @.quote != "")'))) stored;

-- The same figure as `sql.reviews.DOUBTFUL_PAGE`.
create index pages_doubtful on aseagi.pages (document_id) where confidence < 0.8::real;

-- Who looked at a document last, and what it was then.
create table aseagi.reviews (
    document_id uuid primary key references aseagi.documents on delete cascade,
    reviewed_by text not null check (reviewed_by <> ''),
    reviewed_at timestamptz not null default now(),
    note text,
    document_type text,
    document_date date,
    reasons text[] not null
);

-- The audit of what was deleted: no text of the document, and kept for ever.
create table aseagi.deletions (
    id uuid primary key default gen_random_uuid(),
    document_id uuid not null unique,
    file_hash text not null check (file_hash ~ '^[0-9a-f]{64}$'),
    file_name text not null,
    matter text,
    asked_by text not null check (asked_by <> ''),
    why text,
    state text not null default 'asked' check (state in ('asked', 'objects gone', 'done')),
    -- Since when exports may hold it.
    arrived_at timestamptz not null,
    asked_at timestamptz not null default now(),
    objects_gone_at timestamptz,
    done_at timestamptz,
    pages integer not null check (pages >= 0),
    arrivals integer not null check (arrivals >= 0),
    objects integer not null default 0 check (objects >= 0),
    exports text[] not null default '{}',
    check ((state = 'asked') = (objects_gone_at is null)),
    check ((state = 'done') = (done_at is not null))
);
create index deletions_open on aseagi.deletions (asked_at) where state <> 'done';
create index deletions_hash on aseagi.deletions (file_hash);

alter table aseagi.arrivals
    -- Of a deleted document; its object may still lie there, and is not taken in again.
    add column deletion_id uuid references aseagi.deletions,
    -- Its content is just being deleted: taken in again when that is over.
    add column waits_until timestamptz,
    drop constraint arrivals_state_check,
    add constraint arrivals_state_check
        check (state in ('noticed', 'ingested', 'superseded', 'failed', 'deleted')),
    add check ((state = 'deleted') = (deletion_id is not null));
create index arrivals_deleted on aseagi.arrivals (deletion_id) where deletion_id is not null;

do $$
declare
    one text;
begin
    foreach one in array array['corrections', 'reviews', 'deletions'] loop
        execute format('alter table aseagi.%I enable row level security', one);
        execute format('alter table aseagi.%I force row level security', one);
        execute format('create policy application on aseagi.%I for all to aseagi_app using (true) with check (true)', one);
        execute format('create policy dashboard on aseagi.%I for select to aseagi_dashboard using (true)', one);
        execute format('grant select, insert, update, delete on aseagi.%I to aseagi_app', one);
        execute format('grant select on aseagi.%I to aseagi_dashboard', one);
    end loop;
end
$$;
-- What is on record of a deletion stays there.
revoke delete on aseagi.deletions from aseagi_app;
