from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from qtt_hw.data import Splits
from qtt_hw.evaluation import accuracy, evaluate
from qtt_hw.graph import file, golden
from qtt_hw.graph.preprocess import preprocess
from qtt_hw.training import Interrupted, TrainResult, float_model, freeze_run, frozen_graph, load_run, train
from qtt_hw.training.batches import to_tensor
from qtt_hw.training.config import Config
from qtt_hw.training.measure import logits
from qtt_hw.training.store import RunStore

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def run(config: Config, solids: Splits, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    folder = tmp_path_factory.mktemp("run") / "run"
    return folder, train(config, solids, folder)


def test_frozen_model_is_the_validated_model(
    run: tuple[Path, TrainResult], config: Config, solids: Splits, tmp_path: Path
) -> None:
    folder, result = run
    graph = file.load(freeze_run(folder, tmp_path / "m.qtt"))
    assert graph.name == "small" and graph.labels == solids.labels
    prepared, again, spec, labels = load_run(folder)
    assert again == config and labels == solids.labels and spec == graph.input
    integers = golden.run(graph, preprocess(spec, solids.validation.x))[graph.nodes[-1].name].reshape(-1, 3)
    scores = prepared(to_tensor(spec, solids.validation.x, torch.device("cpu")))
    assert np.array_equal(scores.double().numpy() * 2.0**graph.output.format.frac, integers)
    assert accuracy(graph, solids.validation, spec) == result.validation_accuracy
    found = evaluate(graph, solids, "validation")
    assert found.accuracy == result.validation_accuracy and found.samples == len(solids.validation)
    assert found.weight_bytes == graph.weight_bytes and found.accuracy_unseen is None


def test_float_and_teacher_models(run: tuple[Path, TrainResult], solids: Splits) -> None:
    folder, result = run
    spec = load_run(folder)[2]
    for phase in ("float", "teacher"):
        scores = logits(float_model(folder, spec, phase), solids.validation, spec, torch.device("cpu")).numpy()
        share = float((scores.argmax(axis=1) == solids.validation.y).mean())
        assert share == result.phases[phase].validation_accuracy


def test_unfinished_and_foreign_folders(config: Config, solids: Splits, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no run.json"):
        load_run(tmp_path)

    def stop(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        raise Interrupted(tmp_path, 15)

    with pytest.raises(Interrupted):
        train(config, solids, tmp_path / "run", progress=stop)
    with pytest.raises(ValueError, match="training has not ended"):
        load_run(tmp_path / "run")
    with pytest.raises(ValueError, match="holds no float model yet"):
        float_model(tmp_path / "run")
    plain = config.model_copy(update={"quant": None, "teacher": None})
    train(plain, solids, tmp_path / "float")
    with pytest.raises(ValueError, match=r"without a \[quant\] section"):
        load_run(tmp_path / "float")


def test_a_finished_run_as_teacher(
    run: tuple[Path, TrainResult], config: Config, solids: Splits, tmp_path: Path
) -> None:
    assert config.teacher is not None
    teacher = type(config.teacher)(run=str(run[0]), weight=1.0)
    result = train(config.model_copy(update={"teacher": teacher, "quant": None}), solids, tmp_path / "run")
    assert list(result.phases) == ["float"]
    assert not torch.equal(
        float_model(tmp_path / "run").state_dict()["features.block1.conv.weight"],
        float_model(run[0]).state_dict()["features.block1.conv.weight"],
    )


def test_a_run_on_signed_voxels(config: Config, solids: Splits, tmp_path: Path) -> None:
    """{-1, +1} at the input, from training to the golden model: the run remembers how its input was made."""
    changed = config.changed("signed", {"data": {"format": "signed-voxels"}}, without=["teacher"])
    train(changed, solids, tmp_path / "run")
    graph = frozen_graph(tmp_path / "run")
    assert (graph.input.gain, graph.input.offset) == (2, 1)
    x = preprocess(graph.input, solids.test.x)
    assert set(np.unique(x)) <= {-1, 0, 1} and -1 in x
    prepared, *_ = load_run(tmp_path / "run")
    values = torch.from_numpy(x).permute(0, 4, 1, 2, 3).float()
    logits = golden.run(graph, x)[graph.nodes[-1].name].reshape(len(x), -1)
    assert torch.equal(prepared(values), torch.from_numpy(logits) * 2.0**-graph.output.format.frac)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("sample_shape"), "is not what qtt train writes: 'sample_shape'"),
        (lambda content: content.pop("config"), "is not what qtt train writes: it has no 'config'"),
        (lambda content: content.update(labels=None), "is not what qtt train writes: "),
        (lambda content: content["format"].update(colour=1), "is not what qtt train writes: "),
        (lambda content: content["format"].update(bits=40), "bit width must be 1 to 16, got 40"),
        (lambda content: content.update(sample_shape=[10**9] * 4), "67108864 are the most"),
        (
            lambda content: content["config"]["train"].update(lr=1e300),
            "train.lr: Input should be less than or equal to",
        ),
    ],
)
def test_a_changed_description_is_named(tmp_path: Path, change, message: str) -> None:
    content = json.loads((MODELS / "voxtt-modelnet10-run" / "run.json").read_text())
    change(content)
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(ValueError) as refused:
        load_run(tmp_path)
    text = str(refused.value)
    assert text.startswith(f"{tmp_path / 'run.json'}: ") and message in text and "\n" not in text


def test_a_changed_description_is_noticed(tmp_path: Path) -> None:
    content = json.loads((MODELS / "voxtt-modelnet10-run" / "run.json").read_text())
    content.pop("version"), content.pop("digest", None)
    store = RunStore(tmp_path / "run")
    with store.held():
        assert not store.begin(content, {})
    path = tmp_path / "run" / "run.json"
    assert store.description()["labels"] == content["labels"]
    text = path.read_text()
    path.write_text(text.replace(content["labels"][0], content["labels"][0].upper(), 1))
    with pytest.raises(ValueError, match=r"run\.json: its content does not match its digest; the file was changed"):
        store.description()
