"""Engines: one array of multipliers that works off the rows of many stages, in an order fixed beforehand."""
