"""Whatever its own description lets a caller send, the gateway never answers with a failure.

schemathesis draws requests from the OpenAPI description, such as fit it and such as do not,
the same ones every time, for a stranger, a host, the object store and a client that uploads.
"""

import asyncio
import contextlib
import warnings
from itertools import product
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from limits import RateLimitItemPerMinute
from schemathesis import Case, GenerationMode, openapi

from gateway import rates
from gateway.app import create_app
from gateway.callers import hashed
from schema.host import CompleteRequest
from sql.clients import add_client
from tests.gateway.conftest import STORE_TOKEN, Door, bearer

EXAMPLES = 6

EVERY_CHECK = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
EXPECTED = {
    "stranger": {200, 401},
    "host": {200, 201, 204, 401, 403, 422},
    "store": {200, 401, 422},
    "client": {200, 401, 404, 422},
}
"""Answers that show how far the requests came."""


def description() -> dict[str, Any]:
    """The description, with the body that `/host/complete` unpacks by itself."""
    told = create_app(spool_dir=Path("unused")).openapi()
    body = CompleteRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    told["components"]["schemas"] |= body.pop("$defs")
    content = {"application/json": {"schema": body}}
    told["paths"]["/host/complete"]["post"]["requestBody"] = {"content": content}
    return told


@pytest.mark.parametrize("caller", ["stranger", "host", "store", "client"])
async def test_no_request_that_can_be_described_is_a_failure(
    door: Door, caller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "FAILED_LOGINS", RateLimitItemPerMinute(1_000_000))
    host = await door.host(pages=3, run=await door.site.prefect_run())
    lease = await door.lease(host, limit=1)
    token = uuid4().hex
    async with door.site.database.connect() as db:
        await add_client(db, "schemathesis", hashed(token))
    headers = {
        "stranger": {},
        "host": host.headers,
        "store": bearer(STORE_TOKEN),
        "client": bearer(token),
    }[caller]
    own = {
        "flow_run_id": str(host.run),
        "deployment_id": str(door.site.deployment),
        "lease_id": str(lease),
    }
    schema = cast(Any, openapi.from_dict(description()))
    operations: list[Any] = [one.ok() for one in schema.get_all_operations()]
    failed: list[str] = []
    answered: set[int] = set()

    def call(case: Case[Any]) -> None:
        # Half of the ids are the caller's own: what lies behind them is reached.
        for name, value in (case.path_parameters or {}).items():
            if name in own and str(value)[-1:] < "8":
                case.path_parameters[name] = own[name]
        if isinstance(case.body, dict) and "lease_id" in case.body:
            case.body["lease_id"] = own["lease_id"]
        answer = case.call(base_url=door.url, headers=headers, timeout=30)
        answered.add(answer.status_code)
        if answer.status_code >= 500:
            failed.append(f"{case.method} {case.path} {case.body!r:.500}: {answer.text}")

    def try_everything() -> None:
        for operation, mode in product(operations, GenerationMode):
            strategy: SearchStrategy[Case[Any]] = operation.as_strategy(generation_mode=mode)
            test = settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=EVERY_CHECK,
            )(given(strategy)(call))
            # What has no parameter cannot be asked for wrongly.
            with contextlib.suppress(Unsatisfiable):
                test()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        await asyncio.to_thread(try_everything)
    assert failed == []
    assert answered >= EXPECTED[caller], answered
    assert 429 not in answered
