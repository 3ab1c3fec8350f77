"""What the gateway holds in memory: none of Prefect, whose 60 MB it has no use for."""

import subprocess
import sys
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st
from prefect.client.schemas.objects import State, StateType, TaskRun
from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway.prefect_messages import StateKind, TaskRunState, TaskRunTold

Model = TypeVar("Model", bound=BaseModel)

_PROGRAM = """
import sys
import gateway.__main__
print(sorted({name.split(".")[0] for name in sys.modules} & {"prefect", "prefect_aws", "telegram"}))
"""


def test_the_gateway_runs_without_prefect_and_without_what_is_not_set_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_states_are_those_that_prefect_has() -> None:
    schema = TypeAdapter(StateKind).json_schema()
    assert set(schema["enum"]) == {kind.value for kind in StateType}


_words = st.text(max_size=20)
_times = st.none() | st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat())
_counts = st.integers(-1, 2_000_000)
_scraps = st.none() | st.booleans() | st.integers() | st.floats() | _words | st.lists(_words)
_states = st.fixed_dictionaries(
    {"type": st.sampled_from([kind.value for kind in StateType]) | _scraps},
    optional={"name": _words | _scraps, "message": _words | _scraps},
)
_task_runs = st.fixed_dictionaries(
    {"task_key": _words, "dynamic_key": _words},
    optional={
        "name": _words | _scraps,
        "task_version": _words | _scraps,
        "tags": st.lists(_words) | _scraps,
        "run_count": _counts | _scraps,
        "flow_run_run_count": _counts | _scraps,
        "expected_start_time": _times | _scraps,
        "next_scheduled_start_time": _times | _scraps,
        "start_time": _times | _scraps,
        "end_time": _times | _scraps,
        "total_run_time": st.floats() | _scraps,
    },
)


@given(_states, _task_runs)
def test_what_is_let_through_of_a_task_run_prefect_takes(
    state: dict[str, object], told: dict[str, object]
) -> None:
    """The server records many hosts' events in one batch, which one bad event would spoil."""
    if (passed := _valid(TaskRunState, state)) is not None:
        State[None].model_validate({**passed.model_dump(mode="json"), "state_details": {}})
    if (task_run := _valid(TaskRunTold, told)) is not None:
        TaskRun.model_validate(task_run.model_dump(mode="json", exclude_unset=True))


def _valid(model: type[Model], told: dict[str, object]) -> Model | None:
    try:
        return model.model_validate(told)
    except ValidationError:
        return None
