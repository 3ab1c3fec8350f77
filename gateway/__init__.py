"""The one HTTP door besides the Prefect UI and the dashboard.

Hosts, their way to Prefect, and storage notifications.
"""
