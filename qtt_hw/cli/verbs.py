"""All verbs as one application."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from qtt_hw.cli import demonstrate, hardware, inspection, model, planning, report
from qtt_hw.process import UsageError

__all__ = ["app", "run_verb"]

app = typer.Typer(
    name="qtt",
    help="From a PyTorch 3D CNN to a proven FPGA accelerator: train, freeze, plan, emit, cosim, build.",
    epilog="Start with: qtt demo",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for part in (model, inspection, planning, hardware, report, demonstrate):
    part.add_to(app)


def run_verb(arguments: Sequence[str]) -> int:
    """Run one verb; its exit code. Raises UsageError for a wrong command line, KeyboardInterrupt on Ctrl-C."""
    try:
        code = app(list(arguments), prog_name="qtt", standalone_mode=False)
    except Exception as error:
        # What typer raises for a wrong command line differs in its base class from version to version.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        raise UsageError(f"{message().rstrip('.')}; see qtt --help") from None
    if code == 130:  # typer turns Ctrl-C into this code by itself, and says nothing
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
