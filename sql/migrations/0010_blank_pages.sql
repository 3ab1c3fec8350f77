-- A page that was read and has nothing on it is done like any other, and known to be blank.

alter table aseagi.pages add column is_blank boolean not null default false
    check (not is_blank or (state = 'done' and text = ''));
