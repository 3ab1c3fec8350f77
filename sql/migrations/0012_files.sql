-- Files that carry their own text, and files in files.

-- `file`: a page of a text, a Word document, an e-mail; nothing had to be read from a picture.
alter table aseagi.pages drop constraint pages_source_check;
alter table aseagi.pages add constraint pages_source_check
    check (source in ('text layer', 'ocr', 'file'));

-- What lay in a container (a ZIP, an e-mail), as it was found when that was taken in: written
-- with the container's document, never changed. A member that was taken out is the document
-- with its hash, whenever that one is taken in; one that was not has a reason. The same content
-- may lie in many containers, and `root_hash`, the outermost one, is what limits count by.
create table aseagi.members (
    parent_id uuid not null references aseagi.documents on delete cascade,
    number integer not null check (number >= 1),
    name text not null check (name <> ''),
    size_bytes bigint not null check (size_bytes >= 0),
    file_hash text check (file_hash ~ '^[0-9a-f]{64}$'),
    refused text,
    root_hash text not null,
    primary key (parent_id, number),
    check ((file_hash is null) = (refused is not null))
);
create index members_file on aseagi.members (file_hash);
create index members_root on aseagi.members (root_hash);

alter table aseagi.members enable row level security;
alter table aseagi.members force row level security;
create policy application on aseagi.members for all to aseagi_app using (true) with check (true);
create policy dashboard on aseagi.members for select to aseagi_dashboard using (true);
grant select, insert, update, delete on aseagi.members to aseagi_app;
grant select on aseagi.members to aseagi_dashboard;
