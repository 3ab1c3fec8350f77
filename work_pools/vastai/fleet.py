"""Looking after rented hosts: the ledger and the marketplace's list, made to agree.

`look_after` is one turn. It reads the ledger, then one list of everything rented, and
acts on each difference (`verdicts`). It may run in several processes at once (the
worker every few seconds, housekeeping every minute) and be killed after any line:
every change names the state it starts from, a destroy may be repeated, and a host is
`ended` only by a list, made after it was told to go, that does not show it.

When the marketplace cannot be seen nothing at all is concluded (`Blind`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from blocks.database import Database
from sql.connection import Connection
from sql.controls import pause, read_namespace
from sql.hosts import (
    Host,
    count_destroy,
    end_host,
    host_is_gone,
    host_rented,
    host_started,
    note_status,
    open_hosts,
    record_stray,
    reopen_hosts,
)
from sql.sessions import close_session
from work_pools.vastai.client import Marketplace
from work_pools.vastai.errors import MarketplaceError
from work_pools.vastai.ledger import charge_estimates
from work_pools.vastai.models import Instance
from work_pools.vastai.verdicts import (
    Adopt,
    Destroy,
    End,
    Gone,
    Keep,
    Patience,
    Started,
    Verdict,
    judge,
)

DESTROY_SECONDS = 15.0
"""How long one turn tries to destroy one host; the next turn tries again."""

log = logging.getLogger("aseagi.fleet")


@dataclass(slots=True)
class Turn:
    """What one turn found and did."""

    hosts: list[Host] = field(default_factory=list[Host])
    """As they were when the turn began."""
    lost: dict[str, str] = field(default_factory=dict[str, str])
    """Why, by the label of each host that ended by no wish of ours."""
    gone: int = 0
    strays: int = 0
    unconfirmed: list[str] = field(default_factory=list[str])
    """Labels of hosts told to go many times and listed still: a person must know."""


class Fleet:
    """The hosts of one house at one marketplace."""

    def __init__(
        self,
        database: Database,
        marketplace: Marketplace,
        *,
        rehearsal: bool,
        patience: Patience | None = None,
    ) -> None:
        self._database = database
        self._marketplace = marketplace
        self._rehearsal = rehearsal
        self._patience = patience or Patience()

    async def look_after(self) -> Turn:
        """One turn. Raises `Blind`, having changed nothing, when the list cannot be trusted."""
        # The ledger first: whatever it calls destroyed was so before the list was made.
        async with self._database.connect() as db:
            hosts = await open_hosts(db)
        instances = await self._marketplace.list_instances()
        turn = Turn(hosts)
        mine = _match(hosts, instances)
        async with self._database.connect() as db:
            await note_status(
                db,
                {
                    host.id: _status(instance)
                    for host in hosts
                    if (instance := mine.get(host.label)) is not None
                },
            )
        to_destroy: list[Host] = []
        for host in hosts:
            verdict = judge(host, mine.get(host.label), self._patience)
            if isinstance(verdict, Destroy):
                to_destroy.append(host)
            elif not isinstance(verdict, Keep):
                await self._apply(host, verdict, turn)
        turn.strays = await self._claim_strays(instances)
        for host in to_destroy:
            await self._destroy(host, turn)
        return turn

    async def _apply(self, host: Host, verdict: Verdict, turn: Turn) -> None:
        async with self._database.connect() as db:
            match verdict:
                case Adopt(instance_id):
                    await host_rented(db, host.id, instance_id=instance_id)
                case Started():
                    await host_started(db, host.id)
                case End():
                    if verdict.failed:
                        turn.lost[host.label] = verdict.reason
                    await self._end(db, host, verdict)
                case Gone(reason):
                    if host.session_id is not None and host.state != "ending":
                        turn.lost[host.label] = reason or "it is gone"
                        await close_session(
                            db, host.session_id, reason=reason or "its host is gone", failed=True
                        )
                    if await host_is_gone(db, host.id, reason=reason):
                        turn.gone += 1
                        await charge_estimates(db)
                case _:
                    pass

    async def _end(self, db: Connection, host: Host, end: End) -> None:
        if host.session_id is not None:
            await close_session(db, host.session_id, reason=end.reason, failed=end.failed)
        # A host that an earlier attempt of a session left behind has no session to close.
        await end_host(db, host.id, reason=end.reason, failed=end.failed)
        if end.hopeless:
            await pause(db, reason=f"{end.reason} (every host would fail alike)")

    async def _claim_strays(self, instances: Sequence[Instance]) -> int:
        """Give every instance that carries our label and no open row one, so that it ends.

        The rows are read again here: an order's row is there before its instance is.
        """
        async with self._database.connect() as db:
            prefix = label_prefix(await read_namespace(db))
            ours = [one for one in instances if (one.label or "").startswith(prefix)]
            if not ours:
                return 0
            now_open = await open_hosts(db)
            known = {host.instance_id for host in now_open}
            waiting = {host.label for host in now_open if host.instance_id is None}
            strays = [one for one in ours if one.id not in known and one.label not in waiting]
            reopened = await reopen_hosts(db, [one.id for one in strays])
            for one in strays:
                if one.id not in reopened:
                    await record_stray(
                        db,
                        label=one.label or prefix,
                        instance_id=one.id,
                        machine_id=one.machine_id,
                        gpu_name=one.gpu_name,
                        dollars_per_hour=one.dph_total or one.dph_base or Decimal(0),
                        disk_dollars_per_hour=one.storage_total_cost or Decimal(0),
                        rehearsal=self._rehearsal,
                    )
        for one in strays:
            log.warning("instance %s has our label and no session: it will be destroyed", one.id)
        return len(strays)

    async def _destroy(self, host: Host, turn: Turn) -> None:
        if host.instance_id is None:
            return
        async with self._database.connect() as db:
            await count_destroy(db, host.id)
        try:
            await self._marketplace.destroy(host.instance_id, patience_seconds=DESTROY_SECONDS)
        except MarketplaceError as error:
            log.warning("instance %s is not destroyed yet: %s", host.instance_id, error)
        if host.destroys >= self._patience.alarm_after_destroys:
            turn.unconfirmed.append(host.label)


def label_prefix(namespace: str) -> str:
    """How the label of every host of this house begins, and of no other's."""
    return f"aseagi-{namespace}-"


def _match(hosts: Sequence[Host], instances: Sequence[Instance]) -> dict[str, Instance]:
    """The instance of each host, by the host's label: by its number or, if unknown, its label.

    Of several under one label the oldest is the host's; the others are strays.
    """
    by_id = {instance.id: instance for instance in instances}
    by_label: dict[str, Instance] = {}
    for instance in sorted(instances, key=lambda one: one.id):
        by_label.setdefault(instance.label or "", instance)
    found = {
        host.label: by_label.get(host.label)
        if host.instance_id is None
        else by_id.get(host.instance_id)
        for host in hosts
    }
    return {label: instance for label, instance in found.items() if instance is not None}


def _status(instance: Instance) -> str:
    return (
        f"{instance.status}: {instance.status_msg}"[:500]
        if instance.status_msg
        else (instance.status)
    )
