"""Initial values in Verilog as every simulator takes them, whether it reads Verilog or SystemVerilog."""

from __future__ import annotations

import re

__all__ = ["in_initial_statements"]

#: What yosys declares once in a module and reads in every `always @*`, so that each runs at time 0.
_TRIGGER = r"\$auto$verilog_backend"
_REGISTER = re.compile(r"^  reg (\[\d+:0\] )?(\\\S+ |\w+) ?= (.*);$", re.MULTILINE)


def in_initial_statements(text: str) -> str:
    """Verilog that yosys wrote, with `reg x; initial x = 0;` for every `reg x = 0;`.

    Declarations with a value are initialised before all else in SystemVerilog: no `always @*` sees a change, and those
    that yosys wants to start by one never run. So its triggers are assigned when all processes wait, `initial x <= 0;`.
    """

    def assigned(found: re.Match[str]) -> str:
        width, name, value = found[1] or "", found[2], found[3]
        return f"  reg {width}{name};\n  initial {name} {'<=' if name.startswith(_TRIGGER) else '='} {value};"

    return _REGISTER.sub(assigned, text)
