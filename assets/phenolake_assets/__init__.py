"""Dagster assets, jobs, sensors and schedules: thin layers over the engine."""
