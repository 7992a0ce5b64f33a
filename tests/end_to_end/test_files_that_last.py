"""Files in tests/fixtures, as every version of this project wrote them, are read and mean what they did; newer are not.

`first` was written by the first version of each writer, `version-1` by the last that wrote version 1 of plans and
manifests, `version-2-without-family` by one from before plans named their family, `present` when this test was made,
`version-3` by the first that counted flip-flops. `model.qtt` holds a chain of two stages in `first` and a stage of
every kind elsewhere, `run` a run of three epochs and `run.qtt` what was frozen from it then. Where a format gets a
version, or a field, the files of before stay as they are and new ones are put beside them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from qtt_hw import versions
from qtt_hw.data import load as load_data
from qtt_hw.folders import BUILD, MARKER, RUN, claim, kind_of, refuse_foreign
from qtt_hw.graph.file import digest_of, load, save
from qtt_hw.graph.golden import run
from qtt_hw.training import frozen_graph, load_run, train
from qtt_hw.training.config import config_from
from qtt_hw.training.store import RunStore
from rtl_gen.manifest import Manifest
from rtl_gen.plan.plan import Plan, load_plan
from rtl_gen.plan.verify import verified

FIXTURES = Path(__file__).parents[1] / "fixtures"
LOGITS = {
    "chain": [[-4, 3, 3], [3, -4, 3], [3, -4, -4]],
    "every": [[10, 4, -6], [32, 16, 8], [24, -4, -2]],
}


def model_of(name: str) -> Path:
    """The model that a folder's plan and manifest are of."""
    path = FIXTURES / name / "model.qtt"
    return path if path.exists() else FIXTURES / "present" / "model.qtt"


@pytest.mark.parametrize("name", ["first", "version-1", "present"])
def test_a_model_computes_what_it_did(name: str) -> None:
    graph = load(model_of(name))
    shape = (3, *graph.input.edge.shape)
    x = np.arange(np.prod(shape)).reshape(shape) ** 2 // 7 % 8 - 4
    assert graph.labels == ("a", "b", "c")
    assert run(graph, x)["head"].reshape(3, 3).tolist() == LOGITS[graph.name]


def _exact(plan: Plan) -> Any:
    """What a plan says but for estimates."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without(v) for k, v in value.items() if not k.endswith(("luts", "ffs"))}
        return [without(item) for item in value] if isinstance(value, list) else value

    return without(plan.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("name", "version", "ends", "intervals"),
    [
        ("first", 1, (194,), (98,)),
        ("version-1", 1, (300,), (200,)),
        ("version-2-without-family", 2, (300,), (200,)),
        ("present", 2, (300,), (200,)),
        ("version-3", 3, (306,), (200,)),
    ],
)
def test_a_plan_is_still_that_of_its_model(name: str, version: int, ends: tuple, intervals: tuple) -> None:
    plan = load_plan(FIXTURES / name / "plan.json")
    found = verified(load(model_of(name)), plan)
    assert (plan.version, plan.family, plan.device) == (version, "ecp5", "ecp5-12f")
    assert (plan.predicted.ends, plan.predicted.intervals) == (ends, intervals)
    # What follows from the folding is of the hardware of today, whose latencies are others since version 3, and whose
    # LUTs and flip-flops are estimated anew at any time.
    assert (_exact(found) == _exact(plan)) == (version == versions.PLAN.written)
    assert [stage.folding for stage in found.stages] == [stage.folding for stage in plan.stages]
    assert found.stages == verified(load(model_of(name)), found).stages and found.version == versions.PLAN.written


@pytest.fixture
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A BUILD folder of a fixture, in which the Verilog is empty."""
    folder = tmp_path / "build"
    folder.mkdir()
    for name in ("manifest.json", "plan.json", "model.qtt"):
        shutil.copy(FIXTURES / request.param / name, folder)
    for name in ("design.v", "primitives_sim.v", "primitives_ecp5.v"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("build", "version", "interval", "taps"),
    [
        ("first", 1, 98, ["conv", "head"]),
        ("version-1", 1, 200, ["conv", "sum", "pool", "order", "head"]),
        ("present", 2, 200, ["conv", "sum", "pool", "order", "head"]),
    ],
    indirect=["build"],
)
def test_a_manifest_says_what_it_did(build: Path, version: int, interval: int, taps: list[str]) -> None:
    manifest = Manifest.load(build)
    assert (manifest.version, manifest.predicted.intervals) == (version, (interval,))
    assert [tap.stage for tap in manifest.taps] == taps
    assert (manifest.top, manifest.output.words) == ("qtt_top", 4)
    assert manifest.digest == digest_of(build / manifest.model)
    graph = load(build / manifest.model)
    assert manifest.input.words * manifest.input.lanes == graph.input.edge.positions * graph.input.edge.channels
    assert kind_of(build) is BUILD, "without a marker, as first versions wrote none"
    refuse_foreign(build, BUILD)
    shutil.copy(FIXTURES / "present" / MARKER, build)
    assert kind_of(build) is BUILD
    refuse_foreign(build, BUILD)


@pytest.fixture
def copied(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / request.param / "run", tmp_path / "run"))


@pytest.mark.parametrize("name", ["first", "present"])
def test_a_run_is_frozen_to_what_it_was(name: str, tmp_path: Path) -> None:
    graph = frozen_graph(FIXTURES / name / "run")
    assert save(graph, tmp_path / "run.qtt") == digest_of(FIXTURES / name / "run.qtt")
    prepared, config, spec, labels = load_run(FIXTURES / name / "run")
    assert (config.quant.weight_bits, config.train.epochs, len(labels), graph.input) == (4, 2, 3, spec)
    assert not prepared.training


@pytest.mark.parametrize("copied", ["first", "present"], indirect=True)
def test_a_run_goes_on_from_its_checkpoint(copied: Path) -> None:
    store = RunStore(copied)
    assert kind_of(copied) is RUN
    tensors, state = store.load_checkpoint()
    model = {name.removeprefix("model/"): value for name, value in tensors.items() if name.startswith("model/")}
    kept = store.load_model("quantized")[0]
    assert model.keys() == kept.keys() and all(torch.equal(model[name], kept[name]) for name in kept)
    assert (state["phase"], state["counters"]["step"]) == (1, 2)
    config = config_from(store.description()["config"], "run.json", copied.parent / "small.toml")
    solids = load_data("solids:8", classes=3, per_class=12)
    before = train(config, solids, copied)
    assert before.phases["quantized"].epochs == 1, "read from result.json"
    store.result.unlink()
    after = train(config, solids, copied)
    timeless = {"seconds": 0.0}
    for name, phase in before.phases.items():
        assert after.phases[name].model_copy(update=timeless) == phase.model_copy(update=timeless)


def newer_json(path: Path) -> None:
    """Have a JSON file say that it is of version 9, with something in it that this version does not know."""
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 9, "speculation": {"depth": 3}}))


def newer_tensors(path: Path) -> None:
    """The same of a safetensors file, whose digest is then another's."""
    with safe_open(str(path), framework="np") as opened:
        metadata: dict[str, Any] = opened.metadata()
    content = json.loads(metadata["qtt"]) | {"version": 9, "speculation": {"depth": 3}}
    save_file(load_file(path), path, {**metadata, "qtt": json.dumps(content)})


NEWER = "version 9 was written by a newer qtt-hw; this one reads"


def refused(call: Any, path: Path, known: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == f"{path}: {NEWER} {known}"


@pytest.mark.parametrize("build", ["present"], indirect=True)
def test_newer_models_plans_and_builds_are_refused_by_name(build: Path) -> None:
    newer_tensors(build / "model.qtt")
    refused(lambda: load(build / "model.qtt"), build / "model.qtt", "model files of version 1")
    refused(lambda: digest_of(build / "model.qtt"), build / "model.qtt", "model files of version 1")
    newer_json(build / "plan.json")
    refused(lambda: load_plan(build / "plan.json"), build / "plan.json", "plans of versions 1, 2, 3 and 4")
    newer_json(build / "manifest.json")
    known = "manifests of versions 1 and 2"
    refused(lambda: Manifest.load(build), build / "manifest.json", known)
    refused(lambda: refuse_foreign(build, BUILD), build / "manifest.json", known)
    shutil.copy(FIXTURES / "present" / MARKER, build)
    newer_json(build / MARKER)
    refused(lambda: refuse_foreign(build, BUILD), build / MARKER, "markers of version 1")


@pytest.mark.parametrize("copied", ["first", "present"], indirect=True)
def test_newer_runs_are_refused_by_name(copied: Path) -> None:
    store, known = RunStore(copied), "training runs of version 1"
    for path, call in (
        (store.checkpoint, store.load_checkpoint),
        (store.model("quantized"), lambda: load_run(copied)),
        (copied / "run.json", lambda: load_run(copied)),
    ):
        (newer_json if path.suffix == ".json" else newer_tensors)(path)
        refused(call, path, known)
    (copied / MARKER).unlink(missing_ok=True)
    refused(lambda: claim(copied, RUN, ""), copied / "run.json", known)
    (copied / MARKER).write_text('{"kind": "run", "version": 9}')
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    refused(lambda: claim(copied, RUN, ""), copied / MARKER, "markers of version 1")
    assert before == {path.name: path.read_bytes() for path in copied.iterdir()}
