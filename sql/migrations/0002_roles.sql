-- Who may do what. Two roles of our own: the application, which reads and writes
-- rows but owns nothing, and the dashboard, which only reads and never sees the
-- hashes of host tokens. Supabase's own roles (anon, authenticated, service_role)
-- are given nothing here: they cannot even name a table of this schema.
--
-- Passwords are not set here. `aseagi deploy` needs none on a local socket; on
-- Supabase the owner sets them once with `alter role … password …`.

do $$
begin
    if not exists (select from pg_roles where rolname = 'aseagi_app') then
        create role aseagi_app login;
    end if;
    if not exists (select from pg_roles where rolname = 'aseagi_dashboard') then
        create role aseagi_dashboard login;
    end if;
end
$$;

-- No statement of ours takes a minute; one that does is stuck.
alter role aseagi_app set statement_timeout = '60s';
alter role aseagi_dashboard set statement_timeout = '30s';

revoke all on schema aseagi from public;
grant usage on schema aseagi to aseagi_app, aseagi_dashboard;
grant select, insert, update, delete on all tables in schema aseagi to aseagi_app;
grant usage on all sequences in schema aseagi to aseagi_app;
grant select on aseagi.controls, aseagi.documents, aseagi.arrivals, aseagi.processing_jobs,
    aseagi.pages, aseagi.ocr_sessions, aseagi.leases, aseagi.gpu_hosts, aseagi.charges
    to aseagi_dashboard;
-- No new controls row, and the one there is never goes.
revoke insert, delete on aseagi.controls from aseagi_app;

do $$
declare
    one record;
begin
    for one in select tablename from pg_tables where schemaname = 'aseagi' loop
        execute format('alter table aseagi.%I enable row level security', one.tablename);
        execute format('alter table aseagi.%I force row level security', one.tablename);
        execute format('create policy application on aseagi.%I for all to aseagi_app using (true) with check (true)', one.tablename);
        if one.tablename not in ('session_attempts', 'drains') then
            execute format('create policy dashboard on aseagi.%I for select to aseagi_dashboard using (true)', one.tablename);
        end if;
    end loop;
end
$$;
