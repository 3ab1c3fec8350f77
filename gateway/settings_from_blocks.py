"""Write the gateway's settings to stdout: `python -m gateway.settings_from_blocks`.

Run by the gateway alone, which reads them from a pipe: they hold secrets.
"""

import asyncio
import base64
import sys

from prefect.settings import get_current_settings
from pydantic import SecretStr

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import load, load_if_there
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from blocks.spending import Spending
from blocks.telegram import Telegram
from gateway.settings import GatewaySettings, PrefectLogin
from schema.failures import AseagiError, Misconfigured


async def settings_from_blocks() -> GatewaySettings:
    """The settings as the blocks say them now; raises `Misconfigured` or `RetryLater`."""
    return settings_of(
        await load(Gateway),
        await load(Database),
        await load(ObjectStorage),
        await load(Reading),
        prefect_login(),
        spending=await load(Spending),
        telegram=await load_if_there(Telegram),
    )


def settings_of(
    gateway: Gateway,
    database: Database,
    storage: ObjectStorage,
    reading: Reading,
    prefect: PrefectLogin,
    *,
    spending: Spending | None = None,
    telegram: Telegram | None = None,
) -> GatewaySettings:
    """What of the blocks the gateway needs."""
    return GatewaySettings(
        url=gateway.url.rstrip("/"),
        dsn=database.dsn,
        s3_events_token=gateway.s3_events_token,
        lease_seconds=reading.lease_seconds,
        bucket=storage.plain(),
        prefect=prefect,
        monthly_budget_dollars=(spending or Spending()).monthly_budget_dollars,
        bot=telegram.plain() if telegram else None,
    )


def prefect_login() -> PrefectLogin:
    """How this process's Prefect settings reach the API; raises `Misconfigured` if they do not."""
    api = get_current_settings().api
    if api.url is None:
        raise Misconfigured("PREFECT_API_URL is not set.")
    headers = dict(get_current_settings().client.custom_headers)
    if api.auth_string is not None:
        login = base64.b64encode(api.auth_string.get_secret_value().encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    elif api.key is not None:
        headers["Authorization"] = f"Bearer {api.key.get_secret_value()}"
    return PrefectLogin(
        url=f"{api.url.rstrip('/')}/",
        headers={name: SecretStr(value) for name, value in headers.items()},
        verify=not api.tls_insecure_skip_verify,
        ca_file=api.ssl_cert_file,
    )


def main() -> int:
    """Write the settings; 1 with one line on stderr if there are none."""
    try:
        settings = asyncio.run(settings_from_blocks())
    except AseagiError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(settings.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
