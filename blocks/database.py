"""Where Postgres is."""

from contextlib import AbstractAsyncContextManager

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.secret import QUIET
from sql.connection import Connection, Pool, connect, make_pool


class Database(Block):
    """Postgres as the application and the dashboard reach it (Supabase: the pooler's port 6543).

    What is safe behind a pooler, and which roles may do what: docs/database.md.

    The owner's address, which migrations need, is not kept here: `aseagi deploy`
    reads it from the environment of the person who deploys.
    """

    model_config = QUIET
    _block_type_name = "ASEAGI database"
    _block_type_slug = "aseagi-database"
    _description = "Postgres addresses of the application and the read-only dashboard."

    dsn: SecretStr = Field(
        title="Application address",
        description="postgresql://aseagi_app:PASSWORD@HOST:PORT/DATABASE",
    )
    dashboard_dsn: SecretStr = Field(
        title="Dashboard address",
        description="The same database as the role aseagi_dashboard, which can only read.",
    )

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """One connection as the application; commits at the end."""
        return connect(self.dsn.get_secret_value())

    def connect_dashboard(self) -> AbstractAsyncContextManager[Connection]:
        """One connection that can only read."""
        return connect(self.dashboard_dsn.get_secret_value())

    def pool(self, *, max_size: int) -> Pool:
        """A pool of connections as the application, opened by `async with`."""
        return make_pool(self.dsn.get_secret_value(), max_size=max_size)
