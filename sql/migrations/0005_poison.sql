-- Which sessions gave back pages of a document unfinished. A document that three of them
-- gave back, and of which no page was ever read, is given up as a whole: each of its pages
-- would end another host, and every host is money.

create table aseagi.unfinished_reads (
    document_id uuid not null references aseagi.documents on delete cascade,
    session_id uuid not null references aseagi.ocr_sessions on delete cascade,
    primary key (document_id, session_id)
);

alter table aseagi.unfinished_reads enable row level security;
alter table aseagi.unfinished_reads force row level security;
create policy application on aseagi.unfinished_reads for all to aseagi_app
    using (true) with check (true);
create policy dashboard on aseagi.unfinished_reads for select to aseagi_dashboard using (true);
grant select, insert, update, delete on aseagi.unfinished_reads to aseagi_app;
grant select on aseagi.unfinished_reads to aseagi_dashboard;
