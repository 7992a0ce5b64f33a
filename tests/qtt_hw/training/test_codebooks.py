"""Runs with codebooks: their own milestones, log, results and resumption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.results import run_queue
from bench.rows import rows_of
from qtt_hw.codebook import Codebook
from qtt_hw.data import Splits
from qtt_hw.graph import Contraction
from qtt_hw.training import TrainResult, frozen_graph, load_run, train
from qtt_hw.training.config import Config, config_from
from qtt_hw.training.store import RunStore


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def start(config: Config, solids: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished float run to start from."""
    run = tmp_path_factory.mktemp("float") / "run"
    train(config.changed("small", {"train": {"epochs": 1}}, without=("quant", "teacher")), solids, run)
    return run


def coded(config: Config, **options: Any) -> Config:
    return config.changed("coded", {"quant": options}, without=("teacher",))


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in RunStore(run).log.read_text().splitlines()]


def test_crossings_are_in_the_log_and_in_the_result(
    config: Config, solids: Splits, start: Path, tmp_path: Path
) -> None:
    # A rate at which largest weights do cross powers of two.
    how = coded(config, codebook="dqc", weight_bits=4, zero=True, gradient="straight", lr=0.1, epochs=2)
    result = train(how, solids, tmp_path / "run", start=start)
    found = result.phases["quantized"].crossings
    lines = log_of(tmp_path / "run")
    assert found is not None and lines[-1]["crossings"] == found and sum(found.values()) > 0
    assert all(lines[0]["crossings"][name] <= count for name, count in found.items())
    assert TrainResult.model_validate_json(RunStore(tmp_path / "run").result.read_text()).phases["quantized"].crossings
    graph = frozen_graph(tmp_path / "run")
    assert [n.name for n in graph.nodes if isinstance(n, Contraction)] == list(found)
    assert all(isinstance(n.weight_format, Codebook) for n in graph.nodes if isinstance(n, Contraction))


@pytest.mark.parametrize("codebook", ["sqc", "inq", "kmeans"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    config: Config, solids: Splits, start: Path, tmp_path: Path, codebook: str
) -> None:
    how = coded(config, codebook=codebook, epochs=2)
    train(how, solids, tmp_path / "whole", start=start)

    def kill(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        if done == total - 3:
            raise Killed

    with pytest.raises(Killed):
        train(how, solids, tmp_path / "cut", start=start, progress=kill)
    train(how, solids, tmp_path / "cut", start=start)
    ours, theirs = (RunStore(tmp_path / name).load_model("quantized")[0] for name in ("cut", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_inq_takes_its_portions_evenly_until_scales_are_frozen(
    config: Config, solids: Splits, start: Path, tmp_path: Path
) -> None:
    how = coded(config, codebook="inq", epochs=6, freeze_scales=0.5)
    shares: dict[int, float] = {}

    from qtt_hw.lower.prepared import PreparedModel

    original = PreparedModel.quantize_portion

    def watch(self: PreparedModel, portion: float) -> None:
        original(self, portion)
        taken = [stage.weight_quantizer.taken.float().mean().item() for stage in self.contractions]
        shares[steps[-1]] = round(sum(taken) / len(taken), 1)

    steps = [0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreparedModel, "quantize_portion", watch)
        train(how, solids, tmp_path / "run", start=start, progress=lambda *now: steps.append(now[1]))
    half = steps[-1] // 2
    assert list(shares) == [0, half // 3, 2 * half // 3, half]
    assert list(shares.values()) == [0.5, 0.8, 0.9, 1.0]
    assert not any(stage.weight_quantizer.partial for stage in load_run(tmp_path / "run")[0].contractions)


def test_float_activations_are_trained_and_evaluated_but_not_frozen(
    config: Config, solids: Splits, tmp_path: Path
) -> None:
    changes = {"codebook": "dqc", "activations": "float", "penalty": "l2", "penalty_weight": 1e-4, "epochs": 1}
    queue = tmp_path / "queue.toml"
    (tmp_path / "small.toml").write_text(config.source.read_text())
    options = ", ".join(f"{key} = {json.dumps(value)}" for key, value in changes.items())
    queue.write_text(
        f'[[run]]\nconfig = "small.toml"\nname = "floats"\nwithout = ["teacher"]\nseeds = [0]\ntopic = "t"\n'
        f'data = "solids:8"\nset = {{ quant = {{ {options} }}, train = {{ epochs = 1 }}, '
        f"data = {{ options = {{ classes = 3, per_class = 20 }} }} }}\n"
    )
    assert run_queue(queue, tmp_path / "results", tmp_path / "runs", progress=False) == 2
    (row,) = rows_of(tmp_path / "results" / "t-quantized.json")
    assert row["activations"] == "float" and 0 <= row["test_accuracy"] <= 1 and "weight_bytes" not in row
    assert row["code_bytes"] > 0 and set(row["crossings"].values()) <= set(range(100))
    with pytest.raises(ValueError, match='^floats: activations = "float" cannot be frozen'):
        frozen_graph(tmp_path / "runs" / "floats-seed0")
    prepared, _, _, _ = load_run(tmp_path / "runs" / "floats-seed0")
    x = (torch.rand(4, 8, 4, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    assert prepared(x).unique().numel() > 4
    with pytest.raises(ValueError, match="leaves no integers"):
        prepared.forward_all(x)
    with pytest.raises(ValueError, match="leaves no integers"):
        prepared.freeze_statistics()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codebook": "dqc", "weight_bits": 7}, "weight_bits must be 2 to 6"),
        ({"codebook": "dqc", "tt_form": "merged"}, 'tt_form = "merged" has no codebook'),
        ({"codebook": "inq", "portions": [0.5, 0.4]}, "portions must rise between 0 and 1"),
        ({"codebook": "inq", "portions": [0.5, 1.0]}, "portions must rise between 0 and 1"),
        ({"penalty": "l1"}, "penalty and a penalty_weight above 0 come together"),
        ({"penalty_weight": 0.1}, "penalty and a penalty_weight above 0 come together"),
        ({"activations": "float", "scales": "fixed"}, 'scales = "fixed" rounds batch norm'),
    ],
)
def test_impossible_sections_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^here: quant: [^\n]*{message}[^\n]*$"):
        config_from({"model": {"name": "voxtt"}, "quant": options}, "here")
