"""The report: one page of a network, its hardware, its accuracy and its numbers."""
