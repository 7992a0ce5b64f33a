"""Repeat drawn networks and operations by their seeds, or go on through seeds until stopped.

python -m tests.drawn 17                   # the network of seed 17
python -m tests.drawn 17 --kind Pool       # the operation of seed 17
python -m tests.drawn 0 500 --golden       # the networks of seeds 0 to 499, without hardware
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.drawn.networks import network
from tests.drawn.operations import OPERATIONS, operation
from tests.drawn.proof import prove


def main() -> int:
    """0 where every seed holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=int, help="seed")
    parser.add_argument("end", type=int, nargs="?", help="seed behind the last; by default the first alone")
    parser.add_argument("--kind", choices=[*OPERATIONS, "all"], help="an operation of this kind in place of a network")
    parser.add_argument("--engine", choices=["verilator", "icarus"], action="append", help="by default both")
    parser.add_argument("--golden", action="store_true", help="no hardware")
    parser.add_argument("--show", action="store_true", help="print what is drawn")
    options = parser.parse_args()
    engines = [] if options.golden else options.engine or ["verilator", "icarus"]
    kinds = list(OPERATIONS) if options.kind == "all" else [options.kind]
    warnings.simplefilter("ignore")
    failed = []
    for seed in range(options.first, options.first + 1 if options.end is None else options.end):
        for kind in kinds:
            started, name = time.monotonic(), f"{kind or 'network'} {seed}"
            try:
                drawn = network(seed) if kind is None else operation(kind, seed)
                if options.show:
                    print(drawn)
                with tempfile.TemporaryDirectory() as folder:
                    graph = prove(drawn, Path(folder), engines)
                found = f"equal, {len(graph.nodes)} stages"
            except Exception as error:
                failed.append(name)
                found = f"FAILED\n{type(error).__name__}: {error}\n"
            print(f"{name}: {found}, {time.monotonic() - started:.1f} s", flush=True)
    print(f"failed: {', '.join(failed) or 'none'}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
