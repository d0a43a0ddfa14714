"""The steps of a plate and of a screen as plain functions: rows of one table in, of the next out.

Each maps an engine function over fields and yields what the lake writes; none knows Dagster.
"""
