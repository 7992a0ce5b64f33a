"""The verbs on models: train, quantize, compress, freeze, eval, check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from qtt_hw.cli import complete
from qtt_hw.cli.show import (
    cycles,
    data_read,
    example,
    file_to_write,
    imports,
    input_shape,
    note,
    number,
    numbers,
    progress,
    report,
    rows_table,
    within,
)
from qtt_hw.options import (
    ACCELERATOR,
    ACCURACY_DROP,
    BITS,
    EPOCHS,
    QUANTIZED_BITS,
    QUANTIZED_EPOCHS,
    QUANTIZED_SCALES,
    SCALES,
    SEARCHED_ON,
    SEEDS,
    STEPS,
    TRIALS,
    require_above_zero,
)

if TYPE_CHECKING:
    from qtt_hw.compression import LayerResult

__all__ = ["Data", "Device", "Json", "Split", "add_to"]

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on one line.")]
Data = Annotated[
    str,
    typer.Option(
        metavar="SOURCE",
        autocompletion=complete.data,
        help="modelnet10, mnist, cifar10 or another named set, its folder, a folder of class folders of .npy volumes, "
        "an .npz with x and y (and x_val, x_test, labels, axes) or as MedMNIST's, solids (generated), or "
        "file.py:Dataset; options behind commas: own.npz,axes=NCDHW.",
    ),
]
Split = Annotated[str, typer.Option(metavar="NAME", autocompletion=complete.splits, help="train, validation or test.")]
Seed = Annotated[int | None, typer.Option(min=SEEDS[0], max=SEEDS[1], help="In place of the configuration's.")]
Accelerator = Annotated[str, typer.Option(autocompletion=complete.accelerators, help="cpu or cuda.")]
Device = Annotated[
    str, typer.Option(metavar="NAME", autocompletion=complete.devices, help="The FPGA; none is unbounded.")
]


def add_to(app: typer.Typer) -> None:
    app.command("train", epilog=example("qtt train models/voxtt-modelnet10.toml --data modelnet10 --out runs/first"))(
        train
    )
    app.command(
        "quantize", epilog=example("qtt quantize net.py:Net --weights trained.safetensors --data own.npz -o net.qtt")
    )(quantize)
    app.command(
        "compress",
        epilog=example(
            "qtt compress net.py:Net --data cifar10 --device ecp5-25f --max-accuracy-drop 1.0 --out small",
            "qtt compress dense.toml --data modelnet10 --device ecp5-25f --trials 40 --out small",
        ),
    )(compress)
    app.command("freeze", epilog=example("qtt freeze runs/first -o model.qtt"))(freeze)
    app.command("eval", epilog=example("qtt eval model.qtt --data modelnet10 --json"))(evaluate)
    app.command(
        "check", epilog=example("qtt check net.py:Net --input 1,16,32,32", "qtt check voxtt", "qtt check run.toml")
    )(check)


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", autocompletion=complete.configurations, help="What to train.")
    ],
    data: Data,
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run's folder; an interrupted run goes on from it.")],
    start: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Begin with the float models of this finished run.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="PLAN.json", help="Contract along the paths of this plan of CONFIG.toml.")
    ] = None,
    seed: Seed = None,
    accelerator: Accelerator = ACCELERATOR,
    json: Json = False,
) -> None:
    """Train with quantisation in the loop, as a configuration describes; resumes where it was cut off.

    At the end RUN/curves.png shows loss, accuracy and learning rate by epoch, where matplotlib is installed.
    """
    from qtt_hw.process import keep_freed_memory

    with imports("torch"):
        from qtt_hw.training import load_config
        from qtt_hw.training import train as run
        from qtt_hw.training.processes import is_first

    keep_freed_memory()
    loaded = load_config(config)
    if plan is not None:
        from rtl_gen.plan.plan import load_plan

        planned = load_plan(plan)
        if not planned.chosen_paths:
            raise ValueError(f"{plan}: chooses no paths; make it from the configuration: qtt plan {config}")
        if planned.model != loaded.name:
            raise ValueError(f"{plan}: is a plan of {planned.model}, not of {loaded.name}")
        loaded = loaded.with_paths(planned.chosen_paths)
    if seed is not None:
        loaded = loaded.with_seed(seed)
    with progress(shown=is_first()) as show:
        show("data", text=data)
        splits = loaded.data.load(data)
        read = data_read(splits) if is_first() else None
        result = run(loaded.with_data(splits), splits, out, start=start, accelerator=accelerator, progress=show)
    if not is_first():  # of torchrun's processes one prints
        return
    rows: list[tuple[str, object]] = [
        ("run", result.run),
        ("validation accuracy", f"{result.validation_accuracy:.4f}"),
        *((f"  {name}", f"{phase.validation_accuracy:.4f}") for name, phase in result.phases.items()),
    ]
    if result.calibrated_accuracy is not None:
        rows.append(("  calibrated only", f"{result.calibrated_accuracy:.4f}"))
    rows += [
        ("parameters", number(result.parameters)),
        ("samples", f"{number(result.train_samples)} train, {number(result.validation_samples)} validation"),
        ("time", number(result.seconds, 1, "s")),
    ]
    report(result, json, rows_table(f"{result.name}, seed {result.seed}, trained", rows), data=read)


def quantize(
    source: Annotated[
        str,
        typer.Argument(
            metavar="file.py:Net|CONFIG.toml|NAME", autocompletion=complete.networks, help="The float network."
        ),
    ],
    data: Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The model file.")],
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What it was trained to: .safetensors, or torch.save's of a state_dict."),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(min=BITS[0], max=BITS[1], help=f"Of weights; {QUANTIZED_BITS} unless CONFIG.toml says so."),
    ] = None,
    activation_bits: Annotated[
        int | None, typer.Option(min=BITS[0], max=BITS[1], help="Of activations; likewise.")
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SCALES),
            autocompletion=complete.scales,
            help=f"What a scale of weights is for; {QUANTIZED_SCALES}, likewise.",
        ),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="M[,M,M]", help="Of images / 255, by channel, that it was trained on.")
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="S[,S,S]", help="Likewise; both together.")] = None,
    epochs: Annotated[
        int, typer.Option(min=EPOCHS[0], max=EPOCHS[1], help="Of training on through the quantisation.")
    ] = QUANTIZED_EPOCHS,
    lr: Annotated[float | None, typer.Option(help="Greatest learning rate of these epochs.")] = None,
    seed: Annotated[int | None, typer.Option(min=SEEDS[0], max=SEEDS[1])] = None,
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Keep the training here; an interrupted one goes on from it.")
    ] = None,
    accelerator: Accelerator = ACCELERATOR,
    json: Json = False,
) -> None:
    """Write the integer model of a network that was trained elsewhere: calibrated, or trained on with --epochs."""
    from qtt_hw.graph.file import is_model
    from qtt_hw.process import keep_freed_memory

    with imports("torch"):
        from qtt_hw.quantizing import quantization, quantized

    file_to_write(output, "-o", "a model file", is_model)
    if scales not in (None, *SCALES):
        raise ValueError(f"--scales must be {' or '.join(SCALES)}, got {scales}")
    keep_freed_memory()
    config = quantization(
        source,
        weights,
        weight_bits=bits,
        activation_bits=activation_bits,
        weight_scales=scales,  # type: ignore[arg-type]
        mean=numbers("--mean", mean),
        std=numbers("--std", std),
        epochs=epochs,
        lr=lr,
        seed=seed,
    )
    with progress() as show:
        show("data", text=data)
        splits = config.data.load(data)
        read = data_read(splits)
        result = quantized(config, splits, output, weights=weights, run=run, accelerator=accelerator, progress=show)
    rows: list[tuple[str, object]] = [
        ("model", result.model),
        (
            "bits",
            f"{result.weight_bits} weights, {result.activation_bits} activations, a scale a {result.weight_scales}",
        ),
        ("validation accuracy", f"{result.accuracy:.4f}, float {result.float_accuracy:.4f}"),
        ("drop", f"{result.drop:.2f} points of {number(result.validation_samples)} samples"),
        ("stages", result.stages),
        ("weights", number(result.weight_bytes, unit="bytes")),
        ("multiplications", number(result.macs)),
        ("digest", result.digest),
    ]
    report(result, json, rows_table(f"{source}, quantised", rows), data=read)


def compress(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG.toml|file.py:Net|NAME", autocompletion=complete.networks, help="The dense network."
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option(metavar="OUT", help="A folder; what was cut off goes on from it.")],
    device: Device = SEARCHED_ON,
    max_accuracy_drop: Annotated[float, typer.Option("--max-accuracy-drop", min=0, help="In points.")] = ACCURACY_DROP,
    fps: Annotated[
        float | None, typer.Option(help="Frames a second that are enough, at 100 MHz; else as many as can be.")
    ] = None,
    bits: Annotated[
        int | None, typer.Option(min=BITS[0], max=BITS[1], help="Of weights; 4 unless CONFIG.toml says so.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=EPOCHS[0], max=EPOCHS[1], help="Of the dense network's training; 20, likewise.")
    ] = None,
    seed: Seed = None,
    trials: Annotated[int, typer.Option(min=1, max=1 << 20, help="Of the search of ranks.")] = TRIALS,
    steps: Annotated[int, typer.Option(min=0, max=1 << 31, help="Of training within a trial.")] = STEPS,
    storage: Annotated[
        str | None, typer.Option(metavar="FILE|URL", help="Of the search, which processes can share.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a dense network small enough for a device: ranks by the planner, learning-compression, integers, a plan.

    Each of its trainings is a folder in OUT with a curves.png, as qtt train draws it.
    """
    from qtt_hw.process import keep_freed_memory

    with imports("torch"):
        from qtt_hw.compression import compress as run
        from qtt_hw.training.config import configuration

    within("--max-accuracy-drop", max_accuracy_drop, 0, 100)
    require_above_zero("--fps", fps)
    keep_freed_memory()
    config = configuration(source)
    with progress() as show:
        show("data", text=data)
        splits = config.data.load(data)
        read = data_read(splits)
        result = run(
            config.with_data(splits),
            splits,
            out,
            device=device,
            max_accuracy_drop=max_accuracy_drop,
            fps=fps,
            bits=bits,
            epochs=epochs,
            seed=seed,
            trials=trials,
            steps=steps,
            storage=storage,
            progress=show,
        )
    faster = "" if result.dense_cycles is None else f", the dense network {number(result.dense_cycles)}"
    rows = [
        ("model, plan", f"{result.model}, {result.plan}"),
        ("validation accuracy", f"{result.accuracy:.4f}, dense float {result.dense_accuracy:.4f}"),
        ("drop", f"{result.drop:.2f} points, {max_accuracy_drop:g} allowed"),
        ("parameters", f"{number(result.parameters)} of {number(result.dense_parameters)}"),
        ("weights", number(result.weight_bytes, unit="bytes")),
        ("cycles", f"{cycles(result.cycles, result.intervals)} on {result.device}{faster}"),
    ]
    rows += _layer_rows(result.layers)
    for index, point in enumerate(result.front):
        cost = f"{number(point.cycles)} cycles, {number(point.brams)} block RAMs, {number(point.parameters)} parameters"
        rows.append(("" if index else "front", f"{point.accuracy:.4f}: {cost}"))
    report(result, json, rows_table(f"{source}, compressed", rows), data=read)
    if not result.met:
        raise ValueError(f"{source}: the accuracy drops by {result.drop:.2f} points, more than {max_accuracy_drop:g}")


def _layer_rows(layers: Sequence[LayerResult]) -> list[tuple[str, str]]:
    """A row for each layer that became a tensor train, and for each reason why others did not."""
    rows: list[tuple[str, str]] = []
    dense: dict[str, list[LayerResult]] = {}
    for layer in layers:
        if layer.ranks is None:
            dense.setdefault(layer.why, []).append(layer)
            continue
        became = f"{number(layer.parameters)} of {number(layer.dense_parameters)} parameters"
        rows.append((f"  {layer.layer}", f"ranks {', '.join(map(str, layer.ranks))}: {became}"))
    for why, those in dense.items():
        names = ", ".join(layer.layer for layer in those[:3]) + (", ..." if len(those) > 3 else "")
        rows.append((f"  {len(those)} left dense", f"{names}: {why}"))
    return rows


def freeze(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training run.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The model file.")],
    json: Json = False,
) -> None:
    """Write the integer model of a training run as one file."""
    from qtt_hw.graph.file import is_model

    file_to_write(output, "-o", "a model file", is_model)
    with imports("torch", "qtt_hw.training"):
        from qtt_hw.freezing import freeze_run
    with progress() as show:
        show("freeze")
        result = freeze_run(run, output)
    rows = [
        ("model", result.model),
        ("stages", result.stages),
        ("weights", number(result.weight_bytes, unit="bytes")),
        ("multiplications", number(result.macs)),
        ("file", number(result.file_bytes, unit="bytes")),
        ("digest", result.digest),
    ]
    report(result, json, rows_table(f"{result.name}, frozen", rows))


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL.qtt", autocompletion=complete.models)],
    data: Data,
    split: Split = "test",
    also: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL.qtt", autocompletion=complete.models, help="A second stream, whose logits are averaged in."
        ),
    ] = None,
    also_data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", autocompletion=complete.data, help="What the second stream reads."),
    ] = None,
    json: Json = False,
) -> None:
    """Accuracy of the integer model, exactly as the hardware computes it; with --also, of two streams together."""
    from qtt_hw.process import keep_freed_memory

    with imports():
        from qtt_hw.evaluation import evaluate as run
        from qtt_hw.evaluation import evaluate_streams, samples_of
        from qtt_hw.graph.file import load

    keep_freed_memory()
    if (also is None) != (also_data is None):
        raise ValueError("--also and --also-data come together")
    graph = load(model)
    with progress() as show:
        show("data", text=data)
        splits = samples_of(graph, data, split)
        read = data_read(splits)
        if also is None or also_data is None:
            result = run(graph, splits, split, progress=show)
        else:
            second = load(also)
            others = samples_of(second, also_data, split)
            data_read(others)
            result = evaluate_streams([graph, second], [splits, others], split, progress=show)
    rows: list[tuple[str, object]] = [
        ("accuracy", f"{result.accuracy:.4f} of {number(result.samples)} {result.split} samples"),
    ]
    if result.accuracy_unseen is not None:
        rows.append(("  not in training", f"{result.accuracy_unseen:.4f} of {number(result.samples_unseen)} samples"))
    if result.accuracy_balanced is not None:
        rows.append(("  mean over classes", f"{result.accuracy_balanced:.4f}"))
    rows.append(("weights", number(result.weight_bytes, unit="bytes")))
    report(result, json, rows_table(f"{result.model} on {result.data}", rows), data=read)


def check(
    model: Annotated[str, typer.Argument(metavar="FILE.py:Net|ZOO-NAME|CONFIG.toml", autocompletion=complete.networks)],
    input: Annotated[
        str | None,
        typer.Option(metavar="C,D,H,W", help="Or C,H,W, or C of vectors; a zoo network has its own."),
    ] = None,
    json: Json = False,
) -> None:
    """Which layers can be lowered, and for each that cannot, what there is instead; fails if there is one."""
    given = input_shape(input)
    with imports("torch", "qtt_hw.training.untrained"):
        from qtt_hw.freezing import check_source
    with progress() as show:
        show("check")
        result = check_source(model, given)
    table = Table("layer", "type", "supported", "instead", title=model, title_justify="left", box=box.SIMPLE)
    table.columns[-1].overflow = "fold"
    for row in result.layers:
        table.add_row(row.layer or "(model)", row.type, "yes" if row.supported else "no", row.instead)
    report(result, json, table)
    if not result.supported:
        first = next(row for row in result.layers if not row.supported)
        note(f"{model}: {first.layer or 'the model'} ({first.type}) {first.instead}")
        raise typer.Exit(1)
