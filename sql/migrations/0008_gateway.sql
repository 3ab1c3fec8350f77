-- Who may bring documents through the gateway, and uploads that take more than one request.

-- What a person said of what they brought: a caption. It stays with the arrival.
alter table aseagi.arrivals add column note text;

-- A program or person who may upload. Only the token's hash is kept; revoking it ends it.
create table aseagi.api_clients (
    id uuid primary key default gen_random_uuid(),
    name text not null check (name <> ''),
    token_hash bytea not null unique check (length(token_hash) = 32),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
-- A large file on its way to the bucket, in parts, past the gateway:
--
--     open --all parts are there, and it is what was declared--> done
--          --given up, or out of time-------------------------> aborted
create table aseagi.multipart_uploads (
    id uuid primary key default gen_random_uuid(),
    client_id uuid not null,
    submitted_by text not null,
    key text not null,
    s3_upload_id text not null,
    size_bytes bigint not null check (size_bytes > 0),
    part_bytes bigint not null check (part_bytes > 0),
    lane aseagi.lane not null,
    note text,
    state text not null default 'open' check (state in ('open', 'done', 'aborted')),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    settled_at timestamptz,
    check ((state = 'open') = (settled_at is null))
);
create index multipart_uploads_open on aseagi.multipart_uploads (expires_at) where state = 'open';

-- A link with which somebody brings one file, once. `key` is where it went.
create table aseagi.upload_links (
    id uuid primary key default gen_random_uuid(),
    token_hash bytea not null unique check (length(token_hash) = 32),
    source text not null,
    submitted_by text not null,
    matter text,
    lane aseagi.lane not null,
    note text,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    key text,
    etag text,
    size_bytes bigint,
    check (key is null or used_at is not null)
);

do $$
declare
    one text;
begin
    foreach one in array array['api_clients', 'multipart_uploads', 'upload_links'] loop
        execute format('alter table aseagi.%I enable row level security', one);
        execute format('alter table aseagi.%I force row level security', one);
        execute format('create policy application on aseagi.%I for all to aseagi_app using (true) with check (true)', one);
        execute format('grant select, insert, update, delete on aseagi.%I to aseagi_app', one);
    end loop;
end
$$;
