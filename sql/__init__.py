"""Postgres: migrations as plain SQL, and every query as a typed function beside its SQL.

One module per subject. A function takes an open connection, does one thing, and
commits only where its docstring says so; whoever calls it owns the transaction.
Everything works through a transaction-mode pooler: no session locks, no LISTEN,
no prepared statements.
"""
