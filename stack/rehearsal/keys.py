"""The keys of a rehearsal, remembered in its state directory."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from schema.failures import Misconfigured

KEYS_FILE = "keys.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The key of an account, and the key of the rehearsal's own paths."""

    api_key: str = field(repr=False)
    rehearsal_key: str = field(repr=False)


KeysT = TypeVar("KeysT", bound=Keys)


def remember_keys(state_dir: Path, form: type[KeysT], make: Callable[[], KeysT]) -> KeysT:
    """The keys of the rehearsal in `state_dir`, made at the first call.

    Raises:
        Misconfigured: the file that holds them is not what was written.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = state_dir / KEYS_FILE
    try:
        return form(**json.loads(file.read_text()))
    except FileNotFoundError:
        keys = make()
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"{file} is damaged: delete it for new keys") from error
    unfinished = file.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
        json.dump(asdict(keys), out)
    unfinished.replace(file)
    return keys
