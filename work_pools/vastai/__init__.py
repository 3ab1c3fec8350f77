"""Renting GPU hosts on Vast.ai by the second: the marketplace's client and the choice of offer.

Importing this package imports nothing else of it: Prefect loads `work_pools` in every
worker and command, and most of them never rent.
"""
