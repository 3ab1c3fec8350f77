"""The documentation knows every setting, and its default."""

from pathlib import Path
from typing import cast

import pytest
from prefect.workers.base import BaseVariables
from pydantic import BaseModel

from blocks.reading import Reading
from blocks.spending import Spending
from blocks.vast_account import VastAccount
from work_pools.vastai.knobs import VastVariables

PAGE = Path(__file__).parents[3] / "docs" / "gpu-hosts.md"


def _default(value: object) -> str:
    """As the page writes it."""
    match value:
        case []:
            return "none"
        case dict():
            prices = cast("dict[str, float]", value)
            return ", ".join(f"{name} {price:g}" for name, price in prices.items())
        case _:
            return f"`{value}`"


@pytest.mark.parametrize("model", [VastVariables, Spending, Reading])
def test_every_setting_stands_in_the_page_with_its_default(model: type[BaseModel]) -> None:
    page = PAGE.read_text()
    for name, setting in model.model_fields.items():
        if name not in BaseVariables.model_fields:
            line = f"| `{name}` | {_default(setting.default)} | {setting.description} |"
            assert line in page


def test_the_accounts_settings_stand_in_the_page() -> None:
    page = PAGE.read_text()
    for name in VastAccount.model_fields:
        assert f"`{name}`" in page
