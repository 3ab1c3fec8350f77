-- Everything ASEAGI knows about documents, pages, jobs, sessions and money.
--
-- Lives in a schema of its own, which Supabase's REST API does not expose.
-- Constraints make wrong states impossible; row-level security makes reads
-- without a role impossible. Works through a transaction-mode pooler.

create schema aseagi;

-- Lanes sort in order of urgency.
create type aseagi.lane as enum ('now', 'bulk', 'nightly');

-- One row: the switch that stops all spending, and the row that whoever decides
-- about sessions locks first (dispatcher, close). It serialises those decisions.
create table aseagi.controls (
    single boolean primary key default true check (single),
    paused_at timestamptz,
    paused_reason text,
    check ((paused_at is null) = (paused_reason is null))
);
insert into aseagi.controls default values;

-- A drain (ingest, analyse) runs one at a time: its name is held until `expires_at`.
create table aseagi.drains (
    name text primary key,
    holder uuid not null,
    expires_at timestamptz not null
);

-- One row per distinct content.
create table aseagi.documents (
    id uuid primary key default gen_random_uuid(),
    file_hash text not null unique check (file_hash ~ '^[0-9a-f]{64}$'),
    file_name text not null,
    media_type text not null,
    size_bytes bigint not null check (size_bytes >= 0),
    page_count integer not null check (page_count >= 0),
    s3_raw_path text not null,
    s3_processed_path text not null,
    matter text,
    ocr_text text,
    title text,
    document_type text,
    document_date date,
    analysis jsonb,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    check ((analysis is null) = (document_type is null))
);
create index documents_matter on aseagi.documents (matter, created_at);

-- One row per (key, ETag, size) seen in raw/: provenance, and the ingest queue.
-- `noticed` waits for the drain; the others are final.
create table aseagi.arrivals (
    id uuid primary key default gen_random_uuid(),
    key text not null,
    etag text not null,
    size_bytes bigint not null check (size_bytes >= 0),
    state text not null default 'noticed' check (state in ('noticed', 'ingested', 'superseded', 'failed')),
    document_id uuid references aseagi.documents on delete cascade,
    original_path text,
    source text not null,
    submitted_by text,
    lane aseagi.lane not null,
    attempts integer not null default 0 check (attempts >= 0),
    noticed_at timestamptz not null default now(),
    settled_at timestamptz,
    error jsonb,
    unique (key, etag, size_bytes),
    check ((state = 'noticed') = (settled_at is null)),
    check (state <> 'ingested' or document_id is not null),
    check ((state = 'failed') = (error is not null))
);
create index arrivals_noticed on aseagi.arrivals (lane, noticed_at) where state = 'noticed';
create index arrivals_failed on aseagi.arrivals (settled_at) where state = 'failed';
create index arrivals_document on aseagi.arrivals (document_id);

-- The work on one document, from ingested to analysed. Retrying starts the same row again.
create table aseagi.processing_jobs (
    id uuid primary key default gen_random_uuid(),
    document_id uuid not null unique references aseagi.documents on delete cascade,
    file_path text not null,
    status text not null check (status in ('queued', 'processing', 'completed', 'failed')),
    stage text not null check (stage in ('read', 'analyse', 'done')),
    lane aseagi.lane not null,
    priority smallint not null default 0,
    attempts integer not null default 0 check (attempts >= 0),
    created_at timestamptz not null default now(),
    started_at timestamptz,
    ready_at timestamptz,
    analysis_attempts integer not null default 0 check (analysis_attempts >= 0),
    claimed_by uuid,
    claimed_until timestamptz,
    completed_at timestamptz,
    results jsonb,
    error jsonb,
    check ((status = 'failed') = (error is not null)),
    check ((status in ('completed', 'failed')) = (completed_at is not null)),
    check ((status = 'completed') = (stage = 'done')),
    check ((claimed_by is null) = (claimed_until is null)),
    check (claimed_by is null or stage = 'analyse')
);
create index processing_jobs_analyse on aseagi.processing_jobs (lane, priority desc, ready_at)
    where stage = 'analyse' and status in ('queued', 'processing');
create index processing_jobs_status on aseagi.processing_jobs (status, created_at);

-- One `ocr` flow run. `wanted` has no run yet or one that has not begun.
create table aseagi.ocr_sessions (
    id uuid primary key default gen_random_uuid(),
    flow_run_id uuid unique,
    lane aseagi.lane not null,
    origin text not null check (origin in ('dispatcher', 'hand')),
    state text not null default 'wanted' check (state in ('wanted', 'running', 'closed')),
    created_at timestamptz not null default now(),
    started_at timestamptz,
    last_seen_at timestamptz,
    deadline_at timestamptz,
    closed_at timestamptz,
    close_reason text,
    engine text,
    pages_read integer not null default 0 check (pages_read >= 0),
    check ((state = 'closed') = (closed_at is not null)),
    check ((state = 'closed') = (close_reason is not null)),
    check (state <> 'running' or (flow_run_id is not null and started_at is not null))
);
create index ocr_sessions_open on aseagi.ocr_sessions (created_at) where state <> 'closed';

-- One attempt of a session's flow run: whom a host token belongs to. Only the hash is kept.
-- A new attempt revokes those before it.
create table aseagi.session_attempts (
    id uuid primary key default gen_random_uuid(),
    session_id uuid not null references aseagi.ocr_sessions on delete cascade,
    flow_run_id uuid not null,
    run_count integer not null,
    token_hash bytea not null unique check (length(token_hash) = 32),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index session_attempts_session on aseagi.session_attempts (session_id);

-- Pages a host holds. `open` until everything is settled, the time is over, or its session ends.
create table aseagi.leases (
    id uuid primary key default gen_random_uuid(),
    session_id uuid not null references aseagi.ocr_sessions on delete cascade,
    attempt_id uuid not null references aseagi.session_attempts on delete cascade,
    state text not null default 'open' check (state in ('open', 'done', 'expired')),
    pages integer not null check (pages > 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    closed_at timestamptz,
    check ((state = 'open') = (closed_at is null))
);
create index leases_open on aseagi.leases (expires_at) where state = 'open';
create index leases_session on aseagi.leases (session_id) where state = 'open';

create table aseagi.pages (
    document_id uuid not null references aseagi.documents on delete cascade,
    number integer not null check (number >= 1),
    state text not null check (state in ('waiting', 'leased', 'done', 'failed')),
    lane aseagi.lane not null,
    queued_at timestamptz not null default now(),
    lease_id uuid references aseagi.leases,
    attempts integer not null default 0 check (attempts >= 0),
    source text check (source in ('text layer', 'ocr')),
    engine text,
    text text,
    words_path text,
    width_pixels integer,
    height_pixels integer,
    rotation_degrees integer check (rotation_degrees in (0, 90, 180, 270)),
    confidence real check (confidence between 0 and 1),
    seconds real check (seconds >= 0),
    session_id uuid references aseagi.ocr_sessions,
    settled_at timestamptz,
    error jsonb,
    search tsvector generated always as (to_tsvector('english'::regconfig, left(coalesce(text, ''), 100000))) stored,
    primary key (document_id, number),
    check ((state = 'leased') = (lease_id is not null)),
    check ((state = 'done') = (text is not null)),
    check ((state = 'done') = (source is not null)),
    check ((state = 'failed') = (error is not null)),
    check ((state in ('done', 'failed')) = (settled_at is not null))
);
create index pages_waiting on aseagi.pages (lane, queued_at, document_id, number) where state = 'waiting';
create index pages_failed on aseagi.pages (document_id) where state = 'failed';
create index pages_lease on aseagi.pages (lease_id) where lease_id is not null;
create index pages_search on aseagi.pages using gin (search);

-- Every host, rented or one's own. The row is written before anything is started,
-- with the worst it can cost reserved.
create table aseagi.gpu_hosts (
    id uuid primary key default gen_random_uuid(),
    session_id uuid not null references aseagi.ocr_sessions,
    attempt_id uuid not null unique references aseagi.session_attempts,
    provider text not null check (provider in ('local', 'vastai')),
    label text not null unique,
    instance_id text,
    machine text,
    gpu_name text,
    state text not null default 'intended' check (state in ('intended', 'running', 'ended')),
    dollars_per_hour numeric(10, 6) not null check (dollars_per_hour >= 0),
    reserved_dollars numeric(12, 6) not null check (reserved_dollars >= 0),
    created_at timestamptz not null default now(),
    running_at timestamptz,
    ended_at timestamptz,
    end_reason text,
    error jsonb,
    check ((state = 'ended') = (ended_at is not null)),
    check ((state = 'ended') = (end_reason is not null))
);
create index gpu_hosts_open on aseagi.gpu_hosts (created_at) where state <> 'ended';

-- Money spent. `key` says what was paid for, so that writing it twice is writing it once.
create table aseagi.charges (
    id bigint generated always as identity primary key,
    key text not null unique,
    kind text not null check (kind in ('gpu', 'disk', 'bandwidth', 'llm', 'storage', 'fixed')),
    dollars numeric(14, 6) not null check (dollars >= 0),
    quantity numeric(20, 6) not null check (quantity >= 0),
    unit text not null,
    what text not null,
    incurred_on date not null,
    document_id uuid references aseagi.documents on delete set null,
    session_id uuid references aseagi.ocr_sessions,
    host_id uuid references aseagi.gpu_hosts,
    created_at timestamptz not null default now()
);
create index charges_day on aseagi.charges (incurred_on, kind);
create index charges_document on aseagi.charges (document_id) where document_id is not null;
create index charges_session on aseagi.charges (session_id) where session_id is not null;
