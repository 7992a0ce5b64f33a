"""The model file: what is saved is what is loaded, and nothing damaged is."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from qtt_hw.codebook import Codebook
from qtt_hw.fixedpoint import Format, Requantizer, as_integers
from qtt_hw.graph import Add, Contraction, Edge, Graph, InputSpec, Permutation, Pool, Reshape, file
from qtt_hw.graph.file import digest_of, is_model, load, save
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.window import Window


def network() -> Graph:
    """One stage of every kind, weights of 8 and of 12 bits, plain and affine requantisers."""
    rng = np.random.default_rng(7)
    narrow, wide = Format(8, True, 7, narrow=True), Format(12, True, 9, narrow=True)
    activation = Format(8, False, 4)
    window = Window((3, 3, 2), (1, 2, 1), ((1, 1), (1, 0), (0, 1)))
    affine = Requantizer(activation, 12, (300, -5, 32767, 1), (0, -(2**31), 2**31 - 1, 7))
    nodes = (
        Contraction(
            "a.conv", ("input",), "a", window, as_integers(rng.integers(-127, 128, (4, 3, 3, 2, 2))), narrow, affine
        ),
        Pool("pool", ("a.conv",), "pool", "max", Window((2, 1, 2), (2, 1, 2))),
        Pool("mean", ("pool",), "mean", "average", Window((2, 3, 2), (1, 1, 1), ((1, 1), (1, 1), (0, 0)))),
        Permutation("order", ("mean",), "fc", (2, 0, 3, 1)),
        Reshape("flat", ("order",), "fc", (1, 1, 1, 3 * 2 * 1 * 4)),
        Contraction(
            "core",
            ("flat",),
            "fc",
            Window(),
            as_integers(rng.integers(-127, 128, (3, 1, 1, 1, 2))),
            narrow,
            Requantizer(Format(8, True, 2), 6),
            lead=4,
            trail=3,
        ),
        Contraction(
            "codes",
            ("core",),
            "fc",
            Window(),
            as_integers(rng.choice([0, 1, -1, 2, -4, 8, 64, -64], (36, 1, 1, 1, 36))),
            Codebook(4, 7, True, 5),
            Requantizer(Format(7, True, 1), 4),
        ),
        Add.aligned("sum", ("core", "codes"), "sum", Format(8, True, 2), Format(7, True, 1), Format(8, False, 0)),
        Contraction(
            "fc",
            ("sum",),
            "fc",
            Window(),
            as_integers(rng.integers(-2047, 2048, (3, 1, 1, 1, 36))),
            wide,
            Requantizer(Format(16, True, 3), -2),
        ),
    )
    return Graph("net", input_spec((5, 4, 4, 2), 1, 128, Format(8, True, 7)), nodes, ("x", "y", "z"))


def assert_same(a: Graph, b: Graph) -> None:
    assert (a.name, a.input, a.labels, a.edges) == (b.name, b.input, b.labels, b.edges)
    for x, y in zip(a.nodes, b.nodes, strict=True):
        assert type(x) is type(y)
        for field in fields(x):
            left, right = getattr(x, field.name), getattr(y, field.name)
            assert np.array_equal(left, right) if isinstance(left, np.ndarray) else left == right


def rewrite(path: Path, change, digest: bool = True) -> None:
    """Apply change(json, tensors) to a model file, with a fitting digest unless told otherwise."""
    tensors = load_file(path)
    with file.safe_open(str(path), framework="np") as opened:
        metadata = opened.metadata()
    content = json.loads(metadata["qtt"])
    change(content, tensors)
    text = json.dumps(content)
    save_file(tensors, path, {"qtt": text, "digest": file._digest(text, tensors) if digest else metadata["digest"]})


def test_round_trip(tmp_path: Path) -> None:
    graph, path = network(), tmp_path / "net.qtt"
    digest = save(graph, path)
    assert_same(load(path), graph)
    assert digest_of(path) == digest and len(digest) == 64
    assert [p.name for p in tmp_path.iterdir()] == ["net.qtt"]


def test_a_gain_is_kept(tmp_path: Path) -> None:
    graph, path = network(), tmp_path / "net.qtt"
    spec = input_spec((5, 4, 4, 2), 1, 3, Format(8, True, 7), gain=5)
    save(replace(graph, input=spec), path)
    assert load(path).input == spec != graph.input


def test_weights_are_saved_whatever_their_order_in_memory(tmp_path: Path) -> None:
    graph, path = network(), tmp_path / "net.qtt"
    first, *rest = graph.nodes
    assert isinstance(first, Contraction)
    turned = replace(first, weight=np.asfortranarray(first.weight))
    assert not turned.weight.flags.c_contiguous
    digest = save(replace(graph, nodes=(turned, *rest)), path)
    assert_same(load(path), graph)
    assert digest == save(graph, tmp_path / "plain.qtt")


def test_tensor_types(tmp_path: Path) -> None:
    save(network(), tmp_path / "net.qtt")
    types = {name: tensor.dtype.name for name, tensor in load_file(tmp_path / "net.qtt").items()}
    assert types == {
        "a.conv.weight": "int8",
        "a.conv.multiplier": "int16",
        "a.conv.offset": "int32",
        "codes.weight": "uint8",
        "core.weight": "int8",
        "order.order": "int32",
        "fc.weight": "int16",
    }


def test_saving_again_gives_the_same_digest_and_other_weights_another(tmp_path: Path) -> None:
    first = save(network(), tmp_path / "a.qtt")
    assert save(load(tmp_path / "a.qtt"), tmp_path / "b.qtt") == first

    def flip(content: dict, tensors: dict) -> None:
        tensors["fc.weight"][0, 0, 0, 0, 0] ^= 1

    rewrite(tmp_path / "b.qtt", flip)
    assert digest_of(tmp_path / "b.qtt") != first


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.qtt"
    digest = save(network(), path)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(network(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["net.qtt"] and digest_of(path) == digest


def set_in(*keys: object):
    """A change of the JSON: the last of `keys` is the new value."""

    def change(content: dict, tensors: dict) -> None:
        *path, last, value = keys
        for key in path:
            content = content[key]
        content[last] = value

    return change


def as_type(name: str, kind: type):
    """A change of a tensor's type."""
    return lambda content, tensors: tensors.update({name: tensors[name].astype(kind)})


def reshaped(name: str, shape: tuple[int, ...]):
    """A change of a tensor's shape."""
    return lambda content, tensors: tensors.update({name: tensors[name].reshape(shape)})


DEEP: list = []
for _ in range(100):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("version", 2), "version 2 was written by a newer qtt-hw; this one reads model files of version 1"),
        (set_in("surprise", 1), "surprise: is not known"),
        (set_in("nodes", 0, "kind", "lstm"), "nodes.0: "),
        (set_in("nodes", 0, "out_format", "bits", 40), "bit width must be 1 to 16, got 40"),
        (set_in("nodes", 5, "inputs", ["pool"]), "stage core: expects 24 channels, its input has 4"),
        (set_in("nodes", 1, "inputs", ["nowhere"]), "stage pool: reads 'nowhere', which no earlier stage produces"),
        (set_in("labels", ["x"]), "1 labels for 3 logits"),
        (set_in("input", "sample_shape", [0, 1, 1, 1]), "sample_shape.0: Input should be greater than or equal to 1"),
        (set_in("input", "sample_shape", [10**9, 10**9, 10**9, 1]), "sample_shape.0: Input should be less than or"),
        (set_in("input", "sample_shape", [8192, 8192, 8192, 1]), "549755813888 values, 67108864 are the most"),
        (set_in("input", "block", 4096), "are the most"),
        (set_in("input", "gain", 0), "gain must be 1 to 64, got 0"),
        (set_in("nodes", 1, "inputs", ["a.conv", "input"]), "stage pool: has 2 inputs, a stage of its kind has 1"),
        (set_in("nodes", 7, "inputs", ["core"]), "stage sum: has 1 inputs, a stage of its kind has 2"),
        (set_in("nodes", 0, "inputs", []), "stage a.conv: has 0 inputs, a stage of its kind has 1"),
        (set_in("nodes", 0, "shift", True), "nodes.0.contraction.shift: Input should be a valid integer, got True"),
        (set_in("nodes", 0, "affine", "yes"), "nodes.0.contraction.affine: Input should be a valid boolean, got 'yes'"),
        (set_in("nodes", 1, "window", "kernel", [10**12, 1, 1]), "nodes.1.max.window.kernel.0: "),
        (
            set_in("nodes", 1, "window", {"kernel": [4096] * 3, "stride": [1] * 3, "padding": [[4095, 0]] * 3}),
            "67108864 are the most",
        ),
        (set_in("name", "x" * 5000), "name: String should have at most 4096 characters"),
        (set_in("name", DEEP), "nested more than 64 deep"),
        (lambda content, tensors: tensors.pop("fc.weight"), "tensor fc.weight is missing"),
        (lambda content, tensors: tensors.update(more=np.zeros(1, np.int8)), "no stage uses tensor more"),
        (lambda content, tensors: tensors.update(more=np.zeros(1)), "tensor more holds F64, expected one of int8"),
        (as_type("fc.weight", np.int32), "tensor fc.weight holds int32, expected int16"),
        (as_type("core.weight", np.uint8), "tensor core.weight holds uint8, expected int8"),
        (as_type("fc.weight", np.uint64), "tensor fc.weight holds U64, expected one of int8"),
        (as_type("a.conv.offset", np.int16), "tensor a.conv.offset holds int16, expected int32 or int64"),
        (reshaped("a.conv.offset", (2, 2)), "tensor a.conv.offset has shape [2, 2], expected 1 axes"),
        (reshaped("order.order", (2, 2)), "tensor order.order has shape [2, 2], expected 1 axes"),
        (reshaped("fc.weight", (3, 36)), "tensor fc.weight has shape [3, 36], expected 5 axes"),
        (lambda content, tensors: tensors["codes.weight"].fill(17), "holds 17, codes of 4 bits are below 16"),
        (
            lambda content, tensors: tensors.update({"fc.weight": tensors["fc.weight"].astype(np.float32)}),
            "tensor fc.weight holds F32, expected one of int8, uint8, int16, int32, int64",
        ),
    ],
)
def test_refuses_what_does_not_fit(tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "net.qtt"
    save(network(), path)
    rewrite(path, change)
    with pytest.raises(ValueError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and message in text and "\n" not in text


def test_refuses_changed_content(tmp_path: Path) -> None:
    path = tmp_path / "net.qtt"
    save(network(), path)
    rewrite(path, lambda content, tensors: tensors["fc.weight"].fill(0), digest=False)
    for reader in (load, digest_of):
        with pytest.raises(ValueError, match="does not match its digest"):
            reader(path)


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.qtt"
    save(network(), path)
    with file.safe_open(str(path), framework="np") as opened:
        text = opened.metadata()["qtt"].replace('"name":"net"', '"name":"net","name":"other"')
    tensors = load_file(path)
    save_file(tensors, path, {"qtt": text, "digest": file._digest(text, tensors)})
    for reader in (load, digest_of):
        with pytest.raises(ValueError, match="net.qtt: 'name' is given twice$"):
            reader(path)


def test_neither_a_folder_nor_nothing_is_a_model_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder, expected a model file$"):
        load(tmp_path)
    with pytest.raises(ValueError, match="none.qtt: No such file or directory$"):
        load(tmp_path / "none.qtt")


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="net.qtt: name: String should have at most 4096 characters") as caught:
        save(replace(network(), name="x" * 5000), tmp_path / "net.qtt")
    assert "\n" not in str(caught.value) and not any(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", None])
def test_refuses_other_and_cut_files(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "net.qtt"
    save(network(), path)
    path.write_bytes(path.read_bytes()[:-8] if content is None else content)
    with pytest.raises(ValueError, match="net.qtt: not a model file, or cut short"):
        load(path)


def test_refuses_foreign_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"w": np.zeros(2)}, path)
    with pytest.raises(ValueError, match="without a qtt model"):
        load(path)


def test_save_refuses_an_input_that_preprocessing_cannot_make(tmp_path: Path) -> None:
    graph = network()
    spec = InputSpec(Edge((5, 4, 4, 2), Format(8, True, 7)), (5, 4, 4, 2), 2, 128)
    with pytest.raises(ValueError, match=r"give inputs \[3, 2, 2, 16\], the graph takes \[5, 4, 4, 2\]"):
        save(Graph("net", spec, graph.nodes), tmp_path / "net.qtt")
    assert not any(tmp_path.iterdir())


def test_a_model_file_is_told_from_other_files_of_its_container(tmp_path: Path) -> None:
    save(network(), tmp_path / "model.qtt")
    assert is_model(tmp_path / "model.qtt")
    for metadata in (None, {"qtt": "1"}, {"qtt": '{"version": 1, "phase": "float"}'}, {"qtt": "{"}):
        save_file({"weight": np.zeros(3)}, tmp_path / "float.safetensors", metadata)
        assert not is_model(tmp_path / "float.safetensors")
