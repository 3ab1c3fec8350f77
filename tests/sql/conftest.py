"""A house to test in: a database with the application and its owner connected."""

from collections.abc import AsyncGenerator

import pytest
from psycopg import AsyncConnection

from sql.connection import Connection
from tests.conftest import FreshDatabase
from tests.sql.house import House


@pytest.fixture
async def house(fresh_database: FreshDatabase, db: Connection) -> AsyncGenerator[House]:
    async with await AsyncConnection.connect(fresh_database.dsn(), autocommit=True) as owner:
        yield House(fresh_database.dsn("aseagi_app"), db, owner)
