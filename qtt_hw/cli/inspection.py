"""The verb on a run's numbers: inspect."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from qtt_hw.cli.model import Data, Json
from qtt_hw.cli.show import data_read, example, file_to_write, imports, number, progress, report, rows_table, size
from qtt_hw.options import INSPECTED, INSPECTED_PHASES

if TYPE_CHECKING:
    from qtt_hw.inspection import InspectResult
    from qtt_hw.training.scores import Change, Level

__all__ = ["add_to"]

#: Columns that names of layers have at the least, in a terminal too narrow for all.
NAMES = 12


def add_to(app: typer.Typer) -> None:
    app.command(
        "inspect",
        epilog=example(
            "qtt inspect runs/first --data modelnet10 -o inspection.json",
            "qtt inspect runs/first --data modelnet10 --bytes 10k --config bits.toml",
            "qtt train bits.toml --data modelnet10 --start runs/first --out runs/smaller",
        ),
    )(inspect)


def inspect(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    data: Data,
    byte_budget: Annotated[
        str | None,
        typer.Option("--bytes", metavar="N", help="Of all that is stored: 16000, 16k (thousand) or 16Ki (1024s)."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=1 << 31, help="Validation samples at most.")] = INSPECTED,
    phase: Annotated[
        str | None,
        typer.Option(metavar="|".join(INSPECTED_PHASES), help="The model as trained quantised, or the float one."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.json", help="Everything that was found, as JSON.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="The run's configuration with the bits that are proposed.")
    ] = None,
    json: Json = False,
) -> None:
    """Which layer's quantisation costs the accuracy, and a proposal of bits by layer; on validation samples.

    Each layer is quantised alone with all others in float, and left in float with all others quantised. Rises of the
    loss have the standard error of the same samples' differences behind +-; below twice that they are noise. The bits
    proposed are within --bytes, or the fewest without loss.
    """
    from qtt_hw.process import keep_freed_memory

    with imports("torch"):
        from qtt_hw.inspection import inspect as run_inspection
        from qtt_hw.inspection import is_inspection, is_proposal
        from qtt_hw.training.run import described_run

    budget = None if byte_budget is None else size("--bytes", byte_budget)
    if phase not in (None, *INSPECTED_PHASES):
        raise ValueError(f"--phase must be {' or '.join(INSPECTED_PHASES)}, got {phase}")
    if output is not None:
        file_to_write(output, "-o", "an inspection", is_inspection)
    if config is not None:
        file_to_write(config, "--config", "what qtt inspect wrote", is_proposal)
    keep_freed_memory()
    with progress() as show:
        own = described_run(run)
        show("data", text=data)
        splits = own.data.load(data)
        read = data_read(splits)
        result = run_inspection(
            run,
            splits,
            byte_budget=budget,
            samples=samples,
            phase=phase,  # type: ignore[arg-type]
            output=output,
            config=config,
            progress=show,
        )
    report(result, json, *_tables(result), data=read)
    if config is not None and result.proposal is None:
        raise ValueError(f"{run}: no fewer bits are without loss, so {config} is not written; --bytes proposes some")


def _level(of: Level) -> str:
    accuracy = f"accuracy {100 * of.accuracy:.2f} +- {100 * of.accuracy_error:.2f} %"
    return f"{accuracy}, loss {of.loss:.4f} +- {of.loss_error:.4f}"


def _rise(of: Change | None) -> str:
    return "-" if of is None else f"{of.loss:+.4f}"


def _with_error(of: Change) -> str:
    return f"{_rise(of)} +- {of.loss_error:.4f}"


def _points(of: Change) -> str:
    return f"{100 * of.accuracy:+.2f} +- {100 * of.accuracy_error:.2f}"


def _tables(result: InspectResult) -> list[Table]:
    """Levels and the proposal, the layers from the one that costs most, and their weights at other bits."""
    what = "trained through the quantisation" if result.phase == "quantized" else "calibrated from float"
    rows: list[tuple[str, object]] = [
        ("all in float", _level(result.in_float)),
        ("all quantised", f"{_level(result.quantized)}, {number(result.weight_bytes, unit='bytes')}"),
        ("samples", f"{number(result.samples)} of {number(result.validation_samples)} validation samples"),
    ]
    proposal = result.proposal
    if proposal is None:
        rows.append(("proposed", f"nothing: {len(result.tried)} choices of fewer bits all lose something, untrained"))
    else:
        change = proposal.change
        said = f"loss {_with_error(change)}, points {_points(change)}"
        lost = "no loss" if proposal.lossless else "a loss"
        rows.append(("proposed", f"{number(proposal.weight_bytes, unit='bytes')}; {lost}, untrained: {said}"))
        rows += [("" if index else "  bits", line) for index, line in enumerate((result.toml or "").splitlines())]
    alone = _table(
        "Rise of the loss: of each layer quantised alone, from all in float; of all without it, from all quantised",
        ("bits", "alone", "points", "weights", "outputs", "without"),
    )
    widths = sorted({bits for layer in result.layers for bits in layer.bits})
    others = _table(
        "Rise of the loss with the layer's weights alone at other bits, untrained",
        ("weights", *(f"{bits} bits" for bits in widths)),
    )
    for layer in result.layers:
        alone.add_row(
            layer.layer or "(model)",
            "-" if layer.weight_bits is None else str(layer.weight_bits),
            _with_error(layer.alone),
            _points(layer.alone),
            _rise(layer.weights_alone),
            _rise(layer.activations_alone),
            _rise(layer.without),
        )
        if layer.bits:
            found = [_rise(layer.bits.get(bits)) for bits in widths]
            others.add_row(layer.layer or "(model)", number(layer.weights), *found)
    return [rows_table(f"{result.name} on {result.data}, {what}", rows), alone, others]


def _table(title: str, columns: Iterable[str]) -> Table:
    """A table of layers: their names, which fold where a terminal is narrow, and columns."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column("layer", overflow="fold", min_width=NAMES)
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="fold")
    return table
