"""Prefect blocks: typed configuration that hands out clients.

Each block is saved once under the name `aseagi`, visible and editable in the Prefect
UI; `.env` only seeds them (`blocks.seeding`). Code asks `blocks.loading.load` for one
and never reads the environment itself.
"""
