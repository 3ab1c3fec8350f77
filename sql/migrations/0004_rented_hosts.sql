-- What renting needs to be known, so that no process that dies can leak a cent.
--
--     intended --order--> ordered --rented--> booting --started--> running
--         |                  |                   |                    |
--         |                  +-------------------+--------> ending <--+
--         +--never ordered--> ended <--a listing without it-- ending
--
-- `ordered` is committed before the request is sent: a row that is only `intended` has
-- certainly rented nothing, one that is `ordered` perhaps has. `ending` must be destroyed,
-- and is `ended` only once a successful listing no longer shows it.

alter table aseagi.controls
    -- Part of every label, unguessable: proof that an instance so labelled is ours to end.
    add column namespace text not null
        default substr(replace(gen_random_uuid()::text, '-', ''), 1, 12)
        check (namespace ~ '^[0-9a-f]{12}$');

alter table aseagi.gpu_hosts
    drop constraint gpu_hosts_state_check,
    drop constraint gpu_hosts_check1,
    add constraint gpu_hosts_state_check check
        (state in ('intended', 'ordered', 'booting', 'running', 'ending', 'ended')),
    add constraint gpu_hosts_ends_with_a_reason check
        ((state in ('ending', 'ended')) = (end_reason is not null)),
    -- A host found on the marketplace by its label alone belongs to no session we know.
    alter column session_id drop not null,
    alter column attempt_id drop not null,
    add column rehearsal boolean not null default false,
    add column offer_id bigint,
    add column machine_id bigint,
    add column disk_dollars_per_hour numeric(10, 6) not null default 0
        check (disk_dollars_per_hour >= 0),
    add column max_dollars numeric(12, 6) check (max_dollars > 0),
    add column ordered_at timestamptz,
    add column rented_at timestamptz,
    add column ending_at timestamptz,
    -- A host whose session closed in order gets a moment for its last logs.
    add column destroy_after timestamptz,
    add column destroys integer not null default 0,
    add column failed boolean not null default false,
    add column status text,
    -- The marketplace's own charges are final this long after the end (sql/ledger.py).
    add column settled_at timestamptz,
    add constraint gpu_hosts_ordered_before_rented check
        (provider = 'local' or state in ('intended', 'ending', 'ended') or ordered_at is not null),
    add constraint gpu_hosts_rented_has_instance check
        (state not in ('booting', 'running') or instance_id is not null),
    add constraint gpu_hosts_ending_says_since_when check
        (state <> 'ending' or (ending_at is not null and destroy_after is not null));

create unique index gpu_hosts_instance on aseagi.gpu_hosts (instance_id, rehearsal)
    where provider = 'vastai' and instance_id is not null;
create index gpu_hosts_unsettled on aseagi.gpu_hosts (ended_at)
    where provider = 'vastai' and settled_at is null;
