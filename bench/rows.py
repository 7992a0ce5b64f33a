"""Files of results: their rows, which are added one by one, and what a run's row says."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtt_hw.data import Samples, Splits
from qtt_hw.data.rotations import ROTATIONS
from qtt_hw.errors import named
from qtt_hw.files import write_file
from qtt_hw.locks import locked
from qtt_hw.training.config import Config, config_from
from qtt_hw.training.result import versions
from qtt_hw.versions import FileFormat

__all__ = ["append_row", "commit", "is_missing", "kinds_of", "made_by", "row_of", "rows_of"]

#: The first files do not say theirs, 1.
RESULTS = FileFormat("results files", (1,))


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a results file; none where there is no file."""
    if not path.exists():
        return []
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        with named(path):
            RESULTS.check(content.get("version", 1))
        rows: list[dict[str, Any]] = content["rows"]
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        raise ValueError(f"{path}: not a results file: expected an object with rows") from None
    return rows


def append_row(path: Path, row: dict[str, Any], key: Sequence[str] = ()) -> None:
    """Add a row at the end, in place of those with the same values under `key`, whoever else adds rows meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock"), path, waiting=lambda text: None):
        others = [old for old in rows_of(path) if not key or any(old.get(name) != row[name] for name in key)]
        write_file(path, json.dumps({"version": RESULTS.written, "rows": [*others, row]}, indent=1) + "\n")


def made_by(call: str) -> dict[str, Any]:
    """How a row came about: the command, the source's commit, the versions and the day."""
    return {"command": call, "commit": commit(), "versions": versions(), "date": time.strftime("%Y-%m-%d")}


def is_missing(path: Path, config: Config) -> bool:
    """Whether no row stands for this configuration and seed; what a row's does not name has its default."""
    wanted = config.model_copy(update={"source": None})
    return not any(config_from(row["configuration"], str(path)) == wanted for row in rows_of(path))


def kinds_of(config: Config, origin: Config | None) -> tuple[str, ...]:
    """The rows that a run makes: those of the phases that it trains and does not take from the run it starts from."""
    kinds = []
    if origin is None:
        if config.teacher is not None and config.teacher.dense:
            kinds.append("dense")
        if config.train.epochs:
            kinds.append("float")
    if config.compress is not None and (
        origin is None or (config.compress, config.tune) != (origin.compress, origin.tune)
    ):
        kinds.append("compressed")
    if config.quant is not None:
        kinds.append("quantized")
    return tuple(kinds)


def row_of(kind: str, folder: Path, config: Config, splits: Splits, test: bool) -> dict[str, Any]:
    """One row, after reading the test set once where `test` says so."""
    import torch

    from qtt_hw.training import TrainResult, float_model
    from qtt_hw.training.measure import logits
    from qtt_hw.training.sections import QuantSection
    from qtt_hw.training.store import RunStore
    from qtt_hw.training.testing import float_accuracy, voted_accuracy
    from qtt_hw.training.untrained import untrained_graph

    result = TrainResult.model_validate_json(RunStore(folder).result.read_text(encoding="utf-8"))
    phase = {"dense": "teacher", "compressed": "compress" if config.tune is None else "tune"}.get(kind, kind)
    name = phase if phase in result.phases else f"{phase}0"
    model = None if kind == "quantized" else float_model(folder, phase="compressed" if name == "compress" else name)
    row: dict[str, Any] = {
        "config": config.name,
        "seed": result.seed,
        "validation_accuracy": result.phases[name].validation_accuracy,
    }
    if result.phases[name].validation_balanced is not None:
        row["validation_balanced"] = result.phases[name].validation_balanced
    if test and kind == "quantized":
        row |= _quantized(folder, config, splits)
    elif test and model is not None:
        whole, unseen = float_accuracy(model, splits, config.data.input_spec(splits))
        row |= {"test_accuracy": whole, "test_accuracy_unseen": unseen}
        if _votes(config):
            spec, place = config.data.input_spec(splits), torch.device("cpu")
            row["test_accuracy_voted"] = voted_accuracy(
                lambda x: logits(model, Samples(x, splits.test.y), spec, place).numpy(), splits.test
            )
    if test:
        row["test_samples"] = len(splits.test)
    if kind == "quantized":
        row["calibrated_validation_accuracy"] = result.calibrated_accuracy
        if result.phases[name].crossings is not None:
            row["crossings"] = result.phases[name].crossings
    made = result.phases[name].compressed
    if kind == "compressed":
        row["ranks"] = result.phases["compress"].compressed.ranks  # type: ignore[union-attr]
    if model is not None:
        # Of integers in their default formats: a quantised phase whose activations stay in float cannot be frozen.
        spec = config.data.input_spec(splits)
        row["macs"] = untrained_graph(model, spec, splits.labels, QuantSection(), config.name).macs()
    return row | {
        "parameters": result.phases[name].parameters if made is None else made.parameters,
        "epochs": result.phases[name].epochs,
        "seconds": result.phases[name].seconds,
        "accelerator": result.accelerator,
        "versions": result.versions,
        "configuration": result.config,
    }


def _quantized(folder: Path, config: Config, splits: Splits) -> dict[str, Any]:
    """Test accuracy and sizes: of the integer model, or with quantised weights where the rest stays in float.

    `code_bytes` is the weights alone, as codes, with their centroids where codes stand for those.
    """
    from qtt_hw.evaluation import evaluate
    from qtt_hw.evaluation import logits as golden_logits
    from qtt_hw.lower.freeze import freeze
    from qtt_hw.training import load_run
    from qtt_hw.training.testing import float_accuracy, voted_accuracy

    prepared, _, spec, labels = load_run(folder)
    codes = {"code_bytes": -(-prepared.code_bits // 8)}
    if prepared.floating:
        whole, unseen = float_accuracy(prepared, splits, spec)
        return {"activations": "float", "test_accuracy": whole, "test_accuracy_unseen": unseen, **codes}
    graph = freeze(prepared, spec, labels, config.name)
    found = evaluate(graph, splits)
    voted = {}
    if _votes(config):
        voted["test_accuracy_voted"] = voted_accuracy(lambda x: golden_logits(graph, x), splits.test)
    return {
        **voted,
        "test_accuracy": found.accuracy,
        "test_accuracy_unseen": found.accuracy_unseen,
        "weight_bytes": found.weight_bytes,
        "compression": round(4 * _dense_parameters(config, splits) / found.weight_bytes, 2),
        "macs": graph.macs(),
        **codes,
    }


def _votes(config: Config) -> bool:
    """Whether the network has learned all rotations, so that it can vote over them."""
    return config.data.augmentation.turns == ROTATIONS


def _dense_parameters(config: Config, splits: Splits) -> int:
    """Parameters of the float network with a dense layer in place of every tensor train."""
    from qtt_hw.training.network import build_model

    spec, classes = config.data.input_spec(splits), len(splits.labels)
    try:
        model = build_model(config, spec, classes, 0, dense=True)
    except ValueError:  # a network without tensor trains has no such choice
        model = build_model(config, spec, classes, 0)
    return sum(parameter.numel() for parameter in model.parameters())


def commit() -> str | None:
    """The source tree's commit, where it is one."""
    try:
        command = ["git", "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
