"""Designs behind the buses of other systems: the wrapper, and its registers in RTL, C, Python and words."""
