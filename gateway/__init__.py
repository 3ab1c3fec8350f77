"""The one HTTP door besides the Prefect UI and the dashboard: hosts and storage notifications."""
