"""What the benchmarks' rows have in common: the plan's figures, the command that makes the row, and its file."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from qtt_hw.files import write_file
from rtl_gen.plan.plan import Plan
from rtl_gen.prediction import number_of


def figures(found: Plan) -> dict[str, Any]:
    """What a plan says of the whole network."""
    names = ("cycles", "latency", "multipliers", "dsps", "brams", "luts", "bottleneck", "utilization")
    rate = {f"frames_per_second_at_{found.clock_mhz:g}_mhz": round(found.frames_per_second, 2)}
    intervals = {"cycles": number_of(found.cycles), "intervals": list(found.predicted.intervals)}
    return {name: getattr(found, name) for name in names} | intervals | rate


def command(output: Path | None) -> str:
    """The command line of this process, as it can be given in another checkout."""
    script, *arguments = sys.argv
    data = os.environ.get("QTT_DATA")
    words = ["python", "-m", f"bench.{Path(script).stem}"]
    for argument in arguments:
        if output is not None and argument == str(output):
            argument = f"results/{output.name}"
        words.append(argument.replace(data, "$QTT_DATA") if data else argument)
    return " ".join(word if "$QTT_DATA" in word else shlex.quote(word) for word in words)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    return {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}


def show(row: dict[str, Any], output: Path | None) -> None:
    """Print the row, and write it to the output in place of what is there."""
    text = json.dumps(row, indent=1)
    if output is not None:
        write_file(output, f"{text}\n")
    print(text)
