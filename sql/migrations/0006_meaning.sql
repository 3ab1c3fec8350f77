-- What each page is about, as a direction (tasks/meaning), for search by meaning.
--
-- A table of its own: every search by meaning reads all of it, and the text of pages would make
-- that slow. No index on the directions: reading 100,000 of them takes some 25 ms and is exact under
-- any filter, while an HNSW index takes minutes to build, 79 MB, and more memory to build than a
-- small server has.
--
-- The extension is where Supabase has it. Types and operators of it are always named with their
-- schema: a pooler forgets what a session set as its search path.

create schema if not exists extensions;
create extension if not exists vector with schema extensions;
grant usage on schema extensions to aseagi_app, aseagi_dashboard;

create table aseagi.page_embeddings (
    document_id uuid not null,
    number integer not null,
    model text not null,
    -- Null: the page has no word that the model knows.
    embedding extensions.halfvec(160),
    primary key (document_id, number),
    foreign key (document_id, number) references aseagi.pages on delete cascade
);

alter table aseagi.page_embeddings enable row level security;
alter table aseagi.page_embeddings force row level security;
create policy application on aseagi.page_embeddings for all to aseagi_app
    using (true) with check (true);
create policy dashboard on aseagi.page_embeddings for select to aseagi_dashboard using (true);
grant select, insert, update, delete on aseagi.page_embeddings to aseagi_app;
grant select on aseagi.page_embeddings to aseagi_dashboard;

-- The names of the parties in lower case, to search in without taking each analysis apart.
alter table aseagi.documents add column parties text generated always as
    (lower(jsonb_path_query_array(analysis, '$.parties[*].name')::text)) stored;
