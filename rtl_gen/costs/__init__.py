"""What the units of the generator cost, from their structure: flip-flops are counted, LUTs are estimated.

A function for every unit, beside which stands the unit's module: `control` for ring, walker, gate and sequencer,
`arithmetic` for lanes, adders and requantisers, `streams` for queues and what changes words. Each adds up registers by
their widths, and carry cells, multiplexers, comparisons and tables by theirs (`cells`); the few constants that are
fitted say so. Everything is a function of widths and constants, so that a planner can ask for thousands.
"""
