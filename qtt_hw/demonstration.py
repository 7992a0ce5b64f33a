"""The demonstration: the whole way through on generated voxel solids, in a folder that a second call goes on from."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from qtt_hw.data import DataSummary, summarise
from qtt_hw.files import write_file
from qtt_hw.flow import build, cosim, emit
from qtt_hw.folders import DEMONSTRATION, claim
from qtt_hw.freezing import freeze_run
from qtt_hw.locks import locked
from qtt_hw.planning import plan
from qtt_hw.progress import Progress, part_of, silent
from rtl_gen.prediction import Mean, Prediction

__all__ = ["BOARD", "DEVICE", "DemoResult", "demo"]

DEVICE, BOARD, DATA = "ecp5-85f", "ulx3s-85f", "solids"
CONFIG = "voxtt-tiny.toml"

Result = TypeVar("Result", bound=BaseModel)


class DemoResult(BaseModel):
    """The demonstration's table.

    `cycles`, the mean of `intervals`, and `latency` are simulated, beside what was predicted; `predicted_luts`,
    `predicted_dsps` and `predicted_brams` are the plan's, the figures without that word are of the placed design;
    `inferences_per_second` is fmax over cycles; `seconds` is by step; `dataset` is what
    data was read.
    """

    model_config = ConfigDict(frozen=True)

    folder: str
    accuracy: float
    samples: int
    weight_bytes: int
    equal: bool
    cosim_samples: int
    cycles: Mean | None
    intervals: tuple[int, ...]
    predicted: Prediction
    predicted_cycles: Mean
    latency: int | None
    predicted_latency: int
    utilization: float
    dsps: int
    predicted_dsps: int
    luts: int
    predicted_luts: int
    brams: int
    predicted_brams: int
    ffs: int
    fmax_mhz: float
    inferences_per_second: float
    device: str
    board: str
    bitstream: str
    seconds: dict[str, float]
    dataset: DataSummary


@cache
def _sources_digest() -> str:
    """sha256 of this project's own sources: results of another version are made anew."""
    import boards
    import qtt_hw
    import rtl_gen
    import sim

    found = hashlib.sha256()
    for package in (qtt_hw, rtl_gen, sim, boards):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*")):
            if path.suffix in (".py", ".v", ".cpp", ".lpf", ".toml"):
                found.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return found.hexdigest()


class _Steps:
    """Results of finished steps as JSON files, each valid for what it was made from."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder, self.progress = folder, progress
        self.seconds: dict[str, float] = {}
        self._key = _sources_digest()

    def run(
        self,
        name: str,
        kind: type[Result],
        made_from: str,
        work: Callable[[], Result],
        writes: Callable[[Result], Path] | None = None,
    ) -> Result:
        """The kept result of a step, or a new one.

        A result is kept as long as the steps before it, what it was made from and the file that it wrote are the same.
        """
        self._key = hashlib.sha256(f"{self._key} {name} {made_from}".encode()).hexdigest()
        path = self.folder / f"{name}.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            result = kind.model_validate(kept["result"])
            file = None if writes is None else _file_digest(writes(result))
            if (kept["key"], kept["file"]) == (self._key, file):
                self.seconds[name] = float(kept["seconds"])
                return result
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there, or not ours: made anew
        self.progress(name)
        started = time.monotonic()
        result = work()
        self.seconds[name] = round(time.monotonic() - started, 1)
        content = {
            "key": self._key,
            "file": None if writes is None else _file_digest(writes(result)),
            "seconds": self.seconds[name],
            "result": result.model_dump(mode="json"),
        }
        write_file(path, json.dumps(content, indent=1) + "\n")
        return result


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def demo(
    folder: str | Path = "demo", *, progress: Progress = silent, note: Callable[[str], None] | None = None
) -> DemoResult:
    """Train, freeze, evaluate, plan, emit, simulate and build a 16 x 16 x 16 voxel network on generated solids.

    Takes minutes; nothing is downloaded.

    Parameters
    ----------
    folder : path
        Everything is kept here; a second call goes on where the first stopped.
    progress : Progress
    note : callable, optional
        Told in one line what data was read.

    Returns
    -------
    DemoResult
        The table that `make demo` prints: `accuracy`, `equal`, and cycles, latency, DSP, block RAM and LUT beside what
        was predicted; `fmax_mhz`, `bitstream`, and by step the `seconds`.

    Raises
    ------
    ValueError
        When the folder holds something else; `Busy` where another process works in it.

    Examples
    --------
    >>> import qtt_hw
    >>> result = qtt_hw.demo("demo")  # doctest: +SKIP
    >>> result.equal, result.cycles == result.predicted_cycles  # doctest: +SKIP
    (True, True)

    A folder with anything else in it is left as it is:

    >>> from pathlib import Path
    >>> Path("notes").mkdir()
    >>> _ = Path("notes", "own.txt").write_text("mine")
    >>> qtt_hw.demo("notes")
    Traceback (most recent call last):
        ...
    ValueError: notes: exists and holds no demonstration; choose another folder
    """
    folder = Path(folder)
    claim(folder, DEMONSTRATION, "exists and holds no demonstration; choose another folder")
    with locked(folder / ".demo.lock", folder):
        return _demo(folder, progress, note)


def _demo(folder: Path, progress: Progress, note: Callable[[str], None] | None) -> DemoResult:
    from boards.build import BuildResult
    from qtt_hw.evaluation import EvalResult, evaluate
    from qtt_hw.freezing import FreezeResult
    from qtt_hw.training import TrainResult, load_config, train
    from rtl_gen.manifest import Manifest
    from rtl_gen.plan.plan import Plan, rate_of, save_plan
    from sim.cosim import CosimResult

    (folder / "steps").mkdir(exist_ok=True)
    steps = _Steps(folder / "steps", progress)
    model, plan_file, design = folder / "model.qtt", folder / "plan.json", folder / "build"

    with as_file(files("qtt_hw") / "configs" / CONFIG) as path:
        config = load_config(path)
    splits = config.data.load(DATA)
    dataset = summarise(splits)
    if note is not None:
        note(f"data: {dataset}")

    def planned() -> Plan:
        result = plan(model, DEVICE, progress=part_of(progress, "plan"))
        save_plan(result, plan_file)
        return result

    run = folder / "run"
    # A run that another version of this project trained stays as it is: its own folder knows how to go on.
    steps.run(
        "train",
        TrainResult,
        config.model_dump_json(),
        lambda: train(config, splits, run, progress=progress),
        writes=lambda _: run / "result.json",
    )
    frozen = steps.run("freeze", FreezeResult, "", lambda: freeze_run(run, model), writes=lambda _: model)
    found = steps.run("eval", EvalResult, frozen.digest, lambda: evaluate(model, splits, progress=progress))
    chosen = steps.run("plan", Plan, DEVICE, planned, writes=lambda _: plan_file)
    steps.run(
        "emit", Manifest, "", lambda: emit(model, design, chosen, taps=True), writes=lambda _: design / "design.v"
    )
    simulated = steps.run("cosim", CosimResult, "", lambda: cosim(design, splits, progress=progress))
    if not simulated.equal:
        raise ValueError(f"{design}: the simulation differs from the model: {simulated.first_difference}")
    built = steps.run(
        "build",
        BuildResult,
        BOARD,
        lambda: build(design, BOARD, progress=part_of(progress, "build")),
        writes=lambda result: Path(result.bitstream),
    )
    return DemoResult(
        folder=str(folder),
        accuracy=found.accuracy,
        samples=found.samples,
        weight_bytes=found.weight_bytes,
        equal=simulated.equal,
        cosim_samples=simulated.samples,
        cycles=simulated.cycles,
        intervals=simulated.intervals,
        predicted=simulated.predicted,
        predicted_cycles=simulated.predicted_cycles,
        latency=simulated.latency,
        predicted_latency=simulated.predicted_latency,
        utilization=chosen.utilization,
        dsps=built.dsps,
        predicted_dsps=chosen.dsps,
        luts=built.luts,
        predicted_luts=chosen.luts,
        brams=built.brams,
        predicted_brams=chosen.brams,
        ffs=built.ffs,
        fmax_mhz=built.fmax_mhz,
        inferences_per_second=round(rate_of(built.fmax_mhz, simulated.cycles or chosen.cycles), 1),
        device=DEVICE,
        board=BOARD,
        bitstream=str(built.bitstream),
        seconds=steps.seconds,
        dataset=dataset,
    )
