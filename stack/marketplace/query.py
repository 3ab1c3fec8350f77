"""The search query: which offers match, in which order, how many.

Follows the grammar clients send: `{"gpu_ram": {"gte": "20000"}, "order": [["dph_total",
"asc"]], "type": "on-demand", "limit": 50, "allocated_storage": 5.0}`. Numbers may be
strings. An unknown field or operator is ignored, as the real one does; a comparison
with a value the offer lacks is false. What the account cannot rent is left out unless
the query asks for it. Never more than 64 offers, whatever the limit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, cast

MOST_OFFERS = 64
DEFAULT_STORAGE_GB = Decimal(5)

Row = Mapping[str, Any]

_DIRECTIVES = frozenset({"order", "type", "limit", "allocated_storage", "q", "select_cols"})
_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "verified": {"eq": True},
    "rentable": {"eq": True},
    "rented": {"eq": False},
}
_VIRTUAL: Mapping[str, Callable[[Row], object]] = {
    "verified": lambda row: row["verification"] == "verified",
    "datacenter": lambda row: row["hosting_type"] == 1,
    "external": lambda row: bool(row["external"]),
    "geolocation": lambda row: str(row["geolocation"]).rpartition(", ")[2],
    "driver_version": lambda row: row["driver_vers"],
    "target_reliability": lambda row: row["expected_reliability"],
    # Observed: a filter by id matches nothing, while ask_contract_id works.
    "id": lambda _row: None,
}


@dataclass(frozen=True, slots=True)
class Query:
    """A search, understood."""

    filters: Mapping[str, Mapping[str, object]]
    order: Sequence[tuple[str, bool]]
    """Fields, and whether each descends."""
    limit: int
    is_bid: bool
    storage_gigabytes: Decimal


def parse_query(body: Mapping[str, Any]) -> Query:
    """Understand a search body; what makes no sense in it is ignored, never an error."""
    filters: dict[str, Mapping[str, object]] = dict(_DEFAULTS)
    for field, comparison in body.items():
        if field not in _DIRECTIVES and isinstance(comparison, dict):
            filters[field] = cast("dict[str, object]", comparison)
    storage = _number(body.get("allocated_storage"))
    if storage is not None:
        asked = filters.get("disk_space", {})
        least = max(storage, _number(asked.get("gte")) or Decimal(0))
        filters["disk_space"] = {**asked, "gte": least}
    limit = _number(body.get("limit"))
    return Query(
        filters=filters,
        order=_order(body.get("order")),
        limit=MOST_OFFERS if limit is None or limit <= 0 else min(MOST_OFFERS, int(limit)),
        is_bid=body.get("type") in ("bid", "interruptible"),
        storage_gigabytes=DEFAULT_STORAGE_GB if storage is None else storage,
    )


def select(rows: Sequence[Row], query: Query) -> list[Row]:
    """The rows that match, in order, at most `query.limit`."""
    found = [row for row in rows if matches(row, query.filters, _VIRTUAL)]
    for field, descends in reversed(query.order):
        found = _sorted(found, field, descends=descends)
    return found[: query.limit]


def matches(
    row: Row,
    filters: Mapping[str, Mapping[str, object]],
    virtual: Mapping[str, Callable[[Row], object]] | None = None,
) -> bool:
    """Whether all comparisons hold. Fields the row does not know are ignored."""
    for field, comparison in filters.items():
        compute = (virtual or {}).get(field)
        if compute is None and field not in row:
            continue
        value = row[field] if compute is None else compute(row)
        if not all(_holds(value, op, wanted) for op, wanted in comparison.items()):
            return False
    return True


def _holds(value: object, op: str, wanted: object) -> bool:
    if op in ("in", "notin", "nin"):
        listed = cast("list[object]", wanted) if isinstance(wanted, list) else [wanted]
        return any(_equal(value, each) for each in listed) == (op == "in")
    if op in ("eq", "neq"):
        return _equal(value, wanted) == (op == "eq")
    compare = _ORDERINGS.get(op)
    if compare is None:
        return True
    left, right = _number(value), _number(wanted)
    return left is not None and right is not None and compare(left, right)


_ORDERINGS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "gt": lambda left, right: left > right,
    "gte": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "lte": lambda left, right: left <= right,
}


_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def _equal(value: object, wanted: object) -> bool:
    if value is None or wanted is None:
        return value is wanted
    if isinstance(value, bool) or isinstance(wanted, bool):
        truth = _TRUTHS.get(str(value).lower())
        return truth is not None and truth == _TRUTHS.get(str(wanted).lower())
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted
    left, right = _number(value), _number(wanted)
    if left is not None and right is not None:
        return left == right
    return str(value) == str(wanted)


def _number(value: object) -> Decimal | None:
    """A number, also one written as a string; None for anything else."""
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _order(asked: object) -> list[tuple[str, bool]]:
    order: list[tuple[str, bool]] = []
    for entry in cast("list[object]", asked) if isinstance(asked, list) else []:
        if isinstance(entry, list) and entry:
            field, *direction = cast("list[object]", entry)
            order.append((str(field), direction[:1] == ["desc"]))
    return order or [("score", True)]


def _sorted(rows: Sequence[Row], field: str, *, descends: bool) -> list[Row]:
    """Sort stably; rows without a value come last."""
    known = [row for row in rows if row.get(field) is not None]
    unknown = [row for row in rows if row.get(field) is None]

    def place(row: Row) -> tuple[int, Decimal, str]:
        number = _number(row[field])
        return (1, Decimal(0), str(row[field])) if number is None else (0, number, "")

    return sorted(known, key=place, reverse=descends) + unknown
