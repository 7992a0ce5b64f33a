"""All verbs as one application."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from qtt_hw.cli import demonstrate, hardware, inspection, model, on_board, planning, report, tools
from qtt_hw.near import did_you_mean
from qtt_hw.process import UsageError
from qtt_hw.version import __version__

__all__ = ["app", "run_verb"]

app = typer.Typer(
    name="qtt",
    epilog="Start with: qtt demo",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for part in (model, inspection, planning, hardware, on_board, report, demonstrate, tools):
    part.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"qtt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Show the traceback of what fails; also behind the verb, or QTT_DEBUG=1.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """From a PyTorch 3D CNN to a proven FPGA accelerator: train, freeze, plan, emit, cosim, build."""
    # --debug is taken out of the arguments before anything is imported; here it stands for the help.


def run_verb(arguments: Sequence[str]) -> int:
    """Run one verb; its exit code. Raises UsageError for a wrong command line, KeyboardInterrupt on Ctrl-C."""
    try:
        code = app(list(arguments), prog_name="qtt", standalone_mode=False)
    except Exception as error:
        # What typer raises for a wrong command line differs in its base class from version to version.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        raise UsageError(_usage(error, message())) from None
    if code == 130:  # typer turns Ctrl-C into this code by itself, and says nothing
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _usage(error: Exception, message: str) -> str:
    """What is wrong with a command line, what may have been meant, and whose help says more."""
    context = getattr(error, "ctx", None)
    # typer's own guesses differ from version to version
    message = message.replace("Value error, ", "")
    text = re.sub(r"( \(Possible options: .*\)|\.? Did you mean .*)$", "", message).rstrip(".")
    verb = re.match("No such command '(.*)'$", text)
    option = re.match("No such option: (-.*)$", text)
    choice = re.search("'([^']*)' is not one of (.*)$", text)
    if verb:
        text += did_you_mean(verb[1], (each.name or "" for each in app.registered_commands))
    elif option and context is not None:
        text += did_you_mean(option[1], (each for one in context.command.params for each in one.opts))
    elif choice:
        text += did_you_mean(choice[1], re.findall("'([^']*)'", choice[2]))
    return f"{text}; see {getattr(context, 'command_path', 'qtt')} --help"
