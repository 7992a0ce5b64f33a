"""Forged and unusual files: each is read, or refused in one line that names it, at once and in little memory.

Valid files of every kind that a user can hand in are mutated by a seeded generator: fields replaced by hostile values,
left out, repeated, given twice; text cut, or made of other bytes. What is refused must be refused by ValueError.
"""

from __future__ import annotations

import copy
import json
import random
import re
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save_file as save_tensors

import boards
import qtt_hw.flow  # noqa: F401 - before memory is bounded
from qtt_hw.cli import main
from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import INPUT, Add, Contraction, Graph, Node, Permutation, Pool, Reshape, file
from qtt_hw.graph.file import load, save
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.training.config import load_config
from qtt_hw.window import Window
from rtl_gen.emit import emit
from rtl_gen.families import device
from rtl_gen.manifest import Manifest
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.plan import load_plan
from rtl_gen.plan.search import plan

#: What a refusal may take: seconds of processor time, and bytes beyond what the process holds already.
SECONDS, BYTES = 1.0, 1 << 29
#: Mutated files of each kind.
COUNT = 250

DEEP: Any = []
for _ in range(150):
    DEEP = [DEEP]
HOSTILE: list[Any] = [
    *(None, True, False, "", "x", "\n", "x" * 100_000, "../x", "\x00", "größe"),
    *([], {}, DEEP, [[]], [0] * 10_000, {"a": 1}),
    *(-1, 0, 1, 2, 3, 7, 63, 2**16, 2**31, 2**53, 2**62, 2**64, -(2**63), 10**12, 10**400),
    *(0.5, -0.5, 1e300, -1e300, 1e-300, float("inf"), float("-inf"), float("nan"), "1e9", "nan"),
]


def network() -> Graph:
    """Every kind of stage: windows, a sum, codes, carried modes, a permutation, both pools, a reshape."""
    rng = np.random.default_rng(3)
    narrow, signed, unsigned = Format(4, True, 2, narrow=True), Format(8, True, 3), Format(8, False, 3)
    square = Window((1, 3, 3), padding=((0, 0), (1, 1), (1, 1)))
    affine = Requantizer(unsigned, 11, (300, -5, 9000, 1), (0, -9000, 9000, 7))

    def weight(*shape: int) -> Any:
        return as_integers(rng.integers(-7, 8, shape))

    codes = as_integers(rng.choice([0, 1, -1, 2, -4], (4, 1, 1, 1, 4)))
    nodes: tuple[Node, ...] = (
        Contraction("conv", (INPUT,), "conv", square, weight(4, 1, 3, 3, 4), narrow, affine),
        Contraction("code", ("conv",), "code", Window(), codes, Codebook(4, 7, True, 5), Requantizer(unsigned, 2)),
        Add.aligned("sum", ("code", "conv"), "sum", unsigned, unsigned, unsigned),
        Pool("max", ("sum",), "max", "max", Window((1, 2, 2), (1, 2, 2))),
        Contraction("core", ("max",), "core", Window(), weight(2, 1, 1, 1, 2), narrow, Requantizer(signed, 4), trail=2),
        Permutation("swap", ("core",), "swap", (2, 0, 3, 1)),
        Pool("mean", ("swap",), "mean", "average", Window((1, 2, 1), padding=((0, 0), (1, 0), (0, 0)))),
        Reshape("flat", ("mean",), "flat", (1, 1, 1, 16)),
        Contraction("head", ("flat",), "head", Window(), weight(3, 1, 1, 1, 16), narrow, Requantizer(signed, 3)),
    )
    return Graph("net", input_spec((1, 4, 4, 4), 1, 128, Format(8, True, 7)), nodes, ("x", "y", "z"))


@contextmanager
def bounded(seconds: float = SECONDS, extra: int = BYTES) -> Iterator[None]:
    """Out of time or memory is an error within."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {seconds:g} s")

    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGVTALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (held + extra, limits[1]))
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGVTALRM, before)


class Attempts:
    """Reads mutated files, and collects what was wrong with how they were refused."""

    def __init__(self) -> None:
        self.read = self.refused = 0
        self.faults: dict[str, str] = {}

    def __call__(self, reader: Callable[[], object], name: str, what: str) -> None:
        try:
            with bounded():
                reader()
            self.read += 1
        except ValueError as error:
            self.refused += 1
            text = str(error)
            for fault, found in (
                ("several lines", len(text.splitlines()) != 1),
                ("does not name the file", name not in text),
                ("is long", len(text) > 1000),
                (f"is a {type(error).__name__}", type(error).__name__ not in ("ValueError", "DoesNotFit")),
            ):
                if found:
                    self.faults.setdefault(f"{fault}: {text[:80]}", f"{what[:160]}: {text[:300]!r}")
        except Exception as error:  # what a traceback would show
            kind = f"{type(error).__name__}: {str(error)[:80]}"
            self.faults.setdefault(kind, f"{what[:160]}: {kind}")

    def check(self) -> None:
        assert not self.faults, "\n".join([f"{len(self.faults)} kinds", *self.faults.values()])
        assert self.refused > COUNT // 4 and self.read > 0


def _places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value in a document."""
    found = [path] if path else []
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        found += _places(value, (*path, key))
    return found


def mutated(content: Any, rng: random.Random) -> tuple[Any, str]:
    """A copy of a document with one place changed, and what was changed."""
    changed = copy.deepcopy(content)
    places = _places(content)
    *path, last = rng.choice(places)
    parent = changed
    for key in path:
        parent = parent[key]
    value = parent[last]
    kind = rng.randrange(8)
    if kind == 0:
        del parent[last]
    elif kind == 1 and isinstance(parent, dict):
        parent["surprise\n"] = value
    elif kind == 2 and isinstance(parent, list):
        parent.extend([value] * rng.choice([1, 3, 5000]))
    elif kind == 3:
        *other, end = rng.choice(places)
        source = content
        for key in (*other, end):
            source = source[key]
        parent[last] = copy.deepcopy(source)
    elif kind == 4 and isinstance(value, int):
        parent[last] = value + rng.choice([-2, -1, 1, 2, 2**20, -(2**20), 2**40])
    else:
        parent[last] = rng.choice(HOSTILE)
    return changed, f"{[*path, last]} was {value!r}, {kind}"


def damaged(text: bytes, rng: random.Random) -> bytes:
    """Text cut, with bytes changed, with a part of it twice, or nested deeply."""
    at = rng.randrange(len(text))
    return rng.choice(
        [
            text[:at],
            text[:at] + bytes(rng.randrange(256) for _ in range(3)) + text[at + 3 :],
            text[:at] + text[rng.randrange(len(text)) :],
            text[:at] + b"[" * 100_000 + text[at:],
            text[:at] + b'{"a":' * 5_000 + text[at:],
            b"\xff\xfe" + text,
            text.replace(b'"version": 1,', b'"version": 1, "version": 1,'),
        ]
    )


def forged_json(whole: Path, target: Path, rng: random.Random) -> str:
    """Write a mutation of a JSON file; what was changed."""
    if rng.randrange(5) == 0:
        target.write_bytes(damaged(whole.read_bytes(), rng))
        return "damaged text"
    content, what = mutated(json.loads(whole.read_text()), rng)
    target.write_text(json.dumps(content))
    return what


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = network()
    folder = tmp_path_factory.mktemp("forged") / "build"
    emit(graph, folder, plan(graph, device("ecp5-12f"), fps=1000), taps=True)
    return folder


def forged_model(whole: Path, target: Path, rng: random.Random) -> str:
    """Write a mutation of a model file, with a fitting digest."""
    kind = rng.randrange(10)
    if kind == 0:
        target.write_bytes(damaged(whole.read_bytes(), rng))
        return "damaged bytes"
    with file.safe_open(str(whole), framework="np") as opened:
        text = (opened.metadata() or {})["qtt"]
    tensors, what = load_file(whole), "text"
    if kind == 1:
        text = damaged(text.encode(), rng).decode("utf-8", "replace")
    elif kind < 7:
        content, what = mutated(json.loads(text), rng)
        text = json.dumps(content)
    else:
        name = rng.choice(sorted(tensors))
        tensor = tensors[name]
        types = [np.uint64, np.int64, np.uint8, np.float32, np.float16, np.bool_, np.int32, np.int16]
        change = rng.randrange(5)
        what = f"tensor {name}, {change}"
        if change == 0:
            tensors[name] = tensor.astype(rng.choice(types))
        elif change == 1:
            tensors[name] = tensor[..., None] if rng.randrange(2) else tensor.ravel()
        elif change == 2:
            tensors[name] = np.full_like(tensor, rng.choice([np.iinfo(tensor.dtype).min, np.iinfo(tensor.dtype).max]))
        elif change == 3:
            tensors[name] = tensor[:0] if rng.randrange(2) else np.concatenate([tensor, tensor])
        else:
            tensors[rng.choice(["more", "head.multiplier", "\n"])] = tensors.pop(name)
    tensors = {key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}
    save_tensors(tensors, target, {"qtt": text, "digest": file._digest(text, tensors)})
    return what


def test_model_files(tmp_path: Path) -> None:
    whole, target = tmp_path / "whole.qtt", tmp_path / "forged.qtt"
    save(network(), whole)
    rng, attempts = random.Random(1), Attempts()
    for _ in range(2 * COUNT):
        what = forged_model(whole, target, rng)
        attempts(lambda: load(target), "forged.qtt", what)
    attempts.check()


def test_plans(build: Path, tmp_path: Path) -> None:
    target, graph = tmp_path / "forged.json", load(build / "model.qtt")
    rng, attempts = random.Random(2), Attempts()
    for _ in range(2 * COUNT):
        what = forged_json(build / "plan.json", target, rng)
        attempts(lambda: hardware_of(graph, load_plan(target), str(target)), "forged.json", what)
    attempts.check()


def test_manifests(build: Path) -> None:
    rng, attempts = random.Random(3), Attempts()
    path = build / "manifest.json"
    whole = build.parent / "whole.json"
    path.rename(whole)
    for _ in range(COUNT):
        what = forged_json(whole, path, rng)
        attempts(lambda: Manifest.load(build), "manifest.json", what)
    attempts.check()
    whole.rename(path)


CONFIG = """
[model]
name = "voxtt"
args = { widths = [4, 4], ranks = 2 }
ranks = { "layer" = [2, 3] }
paths = { "layer" = "0 1-2" }
[data]
block = 2
format = "custom"
bits = 4
signed = true
frac = 3
offset = 5
validation = 0.2
seed = 1
options = { edge = 8 }
augmentation = { flips = [0, 0, 0.5], shifts = [0, 1, 1], rotation = "D" }
[train]
epochs = 2
batch = 16
lr = 3e-3
momentum = 0.9
weight_decay = 1e-4
schedule = "steps"
drops = [0.5, 0.7]
drop = 0.1
cycles = 4.0
clip = 1.0
ema = 0.9
penalty = "l1"
penalty_weight = 0.1
label_smoothing = 0.1
seed = 0
checkpoint_steps = 10
threads = 1
autocast = false
[teacher]
dense = true
count = 2
temperature = 3.0
weight = 0.5
[compress]
epochs = 3
pairs = 4
mu = 1e-3
growth = 2.0
form = "train"
layers = ["a", "b"]
factor = 0.5
ranks = { "a" = [1, 2] }
tucker = { "a" = [1, 2] }
[tune]
epochs = 1
lr = 0.1
warmup = 0.1
base = 0.1
fade = 0.1
[quant]
weight_bits = 4
portions = [0.5, 0.75]
scale_lr = 1e-2
freeze_scales = 0.5
freeze_statistics = 0.75
calibration = 1
reestimate = 1
"""
VALUES = (
    *("1e300", "-1e300", "inf", "-inf", "nan", "-1", "0", "1", "1000000000", "9" * 30, "9" * 5000, "0.0", "0.5"),
    *(
        "true",
        '""',
        '"\\n"',
        '"\\u0000"',
        '"x"',
        "[]",
        "{}",
        "[1]",
        "[inf]",
        "[-1, 1e300]",
        "[nan, nan, nan]",
        "1979-05-27",
    ),
    *('{ "a" = -1 }', '{ "a" = [0] }', '{ "a" = [99999999999999] }', "[" * 2000 + "]" * 2000, "{ a = " * 500),
    *("[[[1]]]", "1\na.a" + ".a" * 5000 + " = 1"),
)


def test_configurations(tmp_path: Path) -> None:
    path = tmp_path / "forged.toml"
    path.write_text(CONFIG)
    load_config(path)
    rng, attempts = random.Random(4), Attempts()
    lines = CONFIG.splitlines()
    for _ in range(2 * COUNT):
        if rng.randrange(6) == 0:
            what = "damaged text"
            path.write_bytes(damaged(CONFIG.encode(), rng))
        else:
            number = rng.choice([number for number, line in enumerate(lines) if "=" in line])
            key = lines[number].partition(" =")[0]
            what = f"{key} = {rng.choice(VALUES)}"
            path.write_text("\n".join([*lines[:number], what, *lines[number + 1 :]]))
        attempts(lambda: load_config(path), "forged.toml", what)
    attempts.check()


def test_boards(tmp_path: Path) -> None:
    path = tmp_path / "forged.py"
    names = [
        *("name", "device", "package", "speed", "oscillator_mhz", "clock_mhz", "baud", "constraints", "leds", "high")
    ]
    rng, attempts = random.Random(5), Attempts()
    for _ in range(COUNT):
        what = f"{rng.choice(names)}={rng.choice([value for value in HOSTILE if value is not DEEP])!r}"
        what = re.sub(r"\b(inf|nan)\b", r"float('\1')", what)
        path.write_text(
            f"from dataclasses import replace\nfrom boards.ulx3s_85f import BOARD\nMINE = replace(BOARD, {what})"
        )
        attempts(lambda: boards.load(f"{path}:MINE"), "forged.py", what)
    attempts.check()


@pytest.mark.parametrize(
    ("verb", "change", "message"),
    [
        ("emit", ("stages", 0, "folding", "ring"), "stage conv: a ring of 1000000000000 words is more than it can use"),
        (
            "emit",
            ("stages", 0, "folding", "queue"),
            "stage conv: a queue of 1000000000000 words is more than it can use",
        ),
        (
            "emit",
            ("stages", 2, "folding", "queue"),
            "stage sum: a queue of 1000000000000 words is more than it can use",
        ),
        ("emit", ("fifos", 0, "depth"), "stage sum: a FIFO of 1000000000000 words is more than it can use"),
        ("emit", ("input_lanes",), "input_lanes: Input should be less than or equal to 4194304, got 1000000000000"),
        ("plan", ("input", "sample_shape", 1), "input.sample_shape.1: Input should be less than or equal to 67108864"),
        (
            "plan",
            ("nodes", 3, "window", "kernel", 1),
            "nodes.3.max.window.kernel.1: Input should be less than or equal",
        ),
    ],
)
def test_sizes_beyond_any_machine_are_refused_by_the_command_line(
    build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, change: tuple[Any, ...], message: str
) -> None:
    def enlarged(content: Any) -> Any:
        *path, last = change
        parent = content
        for key in path:
            parent = parent[key]
        parent[last] = 10**12
        return content

    model, path = build / "model.qtt", tmp_path / "forged"
    arguments: list[object] = ["plan", path.with_suffix(".qtt"), "-o", tmp_path / "out"]
    if verb == "emit":
        path.write_text(json.dumps(enlarged(json.loads((build / "plan.json").read_text()))))
        arguments = ["emit", model, "--plan", path, "-o", tmp_path / "out"]
    else:
        with file.safe_open(str(model), framework="np") as opened:
            text = json.dumps(enlarged(json.loads((opened.metadata() or {})["qtt"])))
        tensors = load_file(model)
        save_tensors(tensors, arguments[1], {"qtt": text, "digest": file._digest(text, tensors)})
    with bounded(2.0, 1 << 30):
        code = main([str(argument) for argument in arguments])
    error = capsys.readouterr().err
    assert code == 1 and error.startswith(f"qtt: {tmp_path / 'forged'}") and message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
