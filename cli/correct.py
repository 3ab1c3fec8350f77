"""`aseagi correct`: what a person says of a document wins over what an analyst says."""

import getpass
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from cli.show import IdArgument
from schema.analysis import DocumentType, Party
from schema.corrections import MAY_BE_NONE, CorrectedField, Said
from schema.failures import BadInput

if TYPE_CHECKING:
    from sql.corrections import Correction

ByOption = Annotated[
    str | None, typer.Option("--by", help="Who says so; your user's name if not given.")
]
_PARTY = re.compile(r"^\s*(?P<name>.+?)\s*(?:\((?P<role>[^()]+)\))?\s*$", re.DOTALL)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(correct)


def correct(
    document: IdArgument,
    document_type: Annotated[
        DocumentType | None, typer.Option("--type", help="What kind of document it is.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Its title.")] = None,
    date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Its own date.")
    ] = None,
    matter: Annotated[str | None, typer.Option(help="The matter it belongs to.")] = None,
    party: Annotated[
        list[str] | None,
        typer.Option(help='All its parties, each as "Name (role)"; repeat it.'),
    ] = None,
    none: Annotated[
        list[CorrectedField] | None,
        typer.Option("--none", help="It has no date, no parties, or no matter; repeat it."),
    ] = None,
    undo: Annotated[
        list[CorrectedField] | None,
        typer.Option("--undo", help="Take a correction back; repeat it."),
    ] = None,
    by: ByOption = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Correct what an analyst found: type, title, date, parties, matter.

    A correction stays through every later analysis, until it is taken back, and shows wherever
    the document does: search, filters, export, dashboard, chats. Who said it, and when, is kept.

    **Examples**

    - `aseagi correct 3f2a9c41 --type motion --date 2024-03-04 --by "M. Lopez"`
    - `aseagi correct 3f2a9c41 --party "Acme Inc. (plaintiff)" --party "John Smith (defendant)"`
    - `aseagi correct 3f2a9c41 --matter smith-v-jones --none date`
    - `aseagi correct 3f2a9c41 --undo title`
    """
    given: dict[str, object] = {
        "type": document_type,
        "title": title,
        "date": date.date() if date else None,
        "matter": matter,
        "parties": [party_of(one) for one in party] if party else None,
    }
    said = said_of(given, none or [], undo or [])
    who = person(by)
    use_stack(state)
    run(_correct(document, said, undo or [], who, as_json=as_json))


def person(by: str | None) -> str:
    """Who does it: as given, else the user of this machine. Raises `BadInput` for no name."""
    name = (by if by is not None else getpass.getuser()).replace("\x00", "").strip()
    if not name or len(name) > 200:
        raise BadInput("`--by` is a name of 1 to 200 characters.")
    return name


def party_of(text: str) -> dict[str, str]:
    """A party as people write it: "Name (role)"; without a role it is just a party."""
    found = _PARTY.match(text)
    if found is None:
        raise BadInput('A party is written as "Name (role)".')
    return {"name": found["name"], "role": (found["role"] or "party").strip()}


def said_of(
    given: dict[str, object], none: Sequence[CorrectedField], undo: Sequence[CorrectedField]
) -> Said:
    """What was said, checked. Raises `BadInput` for what cannot be, or contradicts itself."""
    values = {name: value for name, value in given.items() if value is not None}
    if (matter := values.get("matter")) is not None:
        from blocks.inbox import check_matter

        check_matter(str(matter))
    for field in none:
        if field not in MAY_BE_NONE:
            raise BadInput(f"A document cannot be without {field.value}; say which it is.")
        if field.value in values:
            raise BadInput(f"`--none {field.value}` contradicts the {field.value} that is given.")
        values[field.value] = [] if field is CorrectedField.PARTIES else None
    if both := [field.value for field in undo if field.value in values]:
        raise BadInput(f"`--undo {both[0]}` contradicts the {both[0]} that is given.")
    if not values and not undo:
        raise BadInput("Say what is to be corrected: --type, --title, --date, --party, --matter.")
    try:
        return Said.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"The {where} cannot be that: {first['msg']}.") from error


async def _correct(
    prefix: str, said: Said, undo: Sequence[CorrectedField], by: str, *, as_json: bool
) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from cli.show import find
    from sql.corrections import correct as store
    from sql.corrections import list_corrections, take_back

    database = await load(Database)
    async with database.connect() as db:
        document_id = await find(db, prefix)
        changed = await take_back(db, document_id, undo, by=by)
        changed += await store(db, document_id, said, by=by)
        history = await list_corrections(db, document_id)
    if as_json:
        shown = [correction_dict(one) for one in history]
        print_json({"id": document_id, "changed": changed, "corrections": shown})
        return
    if not changed:
        console.print("nothing changed: it says so already")
    if any(one.in_force for one in history):
        console.print(corrections_table([one for one in history if one.in_force]))
    else:
        console.print("no correction is in force: the document shows what its analyst found")


def correction_dict(one: "Correction") -> dict[str, Any]:
    """A correction for a script."""
    return {
        "field": one.field,
        "value": one.value,
        "previous": one.previous,
        "by": one.said_by,
        "at": one.said_at,
        "ended": one.ended_as,
        "ended_by": one.ended_by,
        "ended_at": one.ended_at,
    }


def corrections_table(corrections: "Sequence[Correction]") -> Table:
    """Field, what a person says, what stands there without it, who and when."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("corrected", "to", "from", "by", "when (UTC)"):
        table.add_column(header, overflow="fold")
    for one in corrections:
        table.add_row(
            one.field,
            Text(value_text(one.value)),
            Text(value_text(one.previous)),
            Text(one.said_by),
            f"{one.said_at:%Y-%m-%d %H:%M}",
        )
    return table


def value_text(value: object) -> str:
    """A value as a person reads it."""
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        parties = TypeAdapter(list[Party]).validate_python(value)
        return "; ".join(f"{one.name} ({one.role})" for one in parties)
    return str(value)
