"""Faults thrown at a lake; `benchmarks/chaos.py` runs them in full."""
