"""The bar on a drain's run page: how much is done, how much waits."""

from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact


class DrainProgress:
    """A progress artifact, made with the first batch and moved after each."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._artifact: UUID | None = None
        self._done = 0

    async def add(self, done: int, *, waiting: int) -> None:
        """Count `done` more; `waiting` are still to come."""
        self._done += done
        percent = 100.0 * self._done / max(self._done + waiting, 1)
        description = f"{self._done} {self._what} done, {waiting} waiting"
        if self._artifact is None:
            self._artifact = await acreate_progress_artifact(
                progress=percent, description=description
            )
        else:
            await aupdate_progress_artifact(
                self._artifact, progress=percent, description=description
            )
