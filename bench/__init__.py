"""Measurements: run from a checkout as `python -m bench.NAME`, and not installed."""
