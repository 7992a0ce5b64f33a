"""The model file: one safetensors file of integer tensors, its graph as validated, versioned JSON, and a digest."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from qtt_hw.codebook import Codebook
from qtt_hw.errors import one_line
from qtt_hw.fixedpoint import Format, IntArray, Requantizer
from qtt_hw.ir.graph import Graph, InputSpec
from qtt_hw.ir.nodes import Add, Contraction, Node, Permutation, Pool, Reshape, Window, as_integers
from qtt_hw.ir.preprocess import input_spec

__all__ = ["VERSION", "digest_of", "load", "save"]

#: Version of the JSON schema below; a reader refuses any other.
VERSION: Final = 1

Quad = tuple[int, int, int, int]
Triple = tuple[int, int, int]
Pair = tuple[int, int]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Format(_Strict):
    bits: int
    signed: bool
    frac: int
    narrow: bool = False

    @staticmethod
    def of(fmt: Format) -> _Format:
        return _Format(bits=fmt.bits, signed=fmt.signed, frac=fmt.frac, narrow=fmt.narrow)

    def build(self) -> Format:
        return Format(self.bits, self.signed, self.frac, self.narrow)


class _Codebook(_Strict):
    bits: int
    magnitudes: int
    zero: bool
    frac: int

    @staticmethod
    def of(fmt: Codebook) -> _Codebook:
        return _Codebook(bits=fmt.bits, magnitudes=fmt.magnitudes, zero=fmt.zero, frac=fmt.frac)

    def build(self) -> Codebook:
        return Codebook(self.bits, self.magnitudes, self.zero, self.frac)


class _Window(_Strict):
    kernel: Triple
    stride: Triple
    padding: tuple[Pair, Pair, Pair]

    @staticmethod
    def of(window: Window) -> _Window:
        return _Window(kernel=window.kernel, stride=window.stride, padding=window.padding)

    def build(self) -> Window:
        return Window(self.kernel, self.stride, self.padding)


class _Node(_Strict):
    name: str
    inputs: tuple[str, ...]
    source: str


class _Contraction(_Node):
    """Its integers are the tensors <name>.weight and, when affine, <name>.multiplier and <name>.offset.

    With a codebook, <name>.weight holds codes.
    `carried` is (lead, trail), absent when both are 1.
    """

    kind: Literal["contraction"] = "contraction"
    window: _Window
    weight_format: _Format | _Codebook
    out_format: _Format
    shift: int
    affine: bool
    carried: Pair | None = None


class _Pool(_Node):
    kind: Literal["max", "average"]
    window: _Window


class _Add(_Node):
    kind: Literal["add"] = "add"
    left: Pair
    out_format: _Format
    shift: int


class _Permutation(_Node):
    """Its order is the tensor <name>.order."""

    kind: Literal["permutation"] = "permutation"


class _Reshape(_Node):
    kind: Literal["reshape"] = "reshape"
    shape: Quad


_AnyNode = _Contraction | _Pool | _Add | _Permutation | _Reshape


class _Input(_Strict):
    format: _Format
    sample_shape: Quad
    block: int
    offset: int
    gain: int | None = None

    def build(self) -> InputSpec:
        return input_spec(self.sample_shape, self.block, self.offset, self.format.build(), self.gain or 1)


class _Model(_Strict):
    version: Literal[1] = VERSION
    name: str
    input: _Input
    nodes: tuple[Annotated[_AnyNode, Field(discriminator="kind")], ...]
    labels: tuple[str, ...]


Tensors = dict[str, NDArray]


def _describe(node: Node, tensors: Tensors) -> _AnyNode:
    """The node's JSON; its integers are added to `tensors`."""
    name, inputs, source = node.name, node.inputs, node.source
    match node:
        case Contraction(window=window, weight=weight, weight_format=fmt, requant=requant):
            if isinstance(fmt, Codebook):
                tensors[f"{name}.weight"] = fmt.encode(weight).astype(np.uint8)
            else:
                tensors[f"{name}.weight"] = weight.astype(np.int8 if fmt.bits <= 8 else np.int16)
            if requant.affine:
                m = requant.multipliers
                fits = -(1 << 15) <= m.min() and m.max() < 1 << 15
                tensors[f"{name}.multiplier"] = m.astype(np.int16 if fits else np.int32)
                tensors[f"{name}.offset"] = requant.offsets.astype(np.int32 if requant.offset_bits <= 32 else np.int64)
            return _Contraction(
                name=name,
                inputs=inputs,
                source=source,
                window=_Window.of(window),
                weight_format=_Codebook.of(fmt) if isinstance(fmt, Codebook) else _Format.of(fmt),
                out_format=_Format.of(requant.out),
                shift=requant.shift,
                affine=requant.affine,
                carried=(node.lead, node.trail) if node.carried > 1 else None,
            )
        case Pool(kind=kind, window=window):
            return _Pool(name=name, inputs=inputs, source=source, kind=kind, window=_Window.of(window))
        case Add(left=left, requant=requant):
            out = _Format.of(requant.out)
            return _Add(name=name, inputs=inputs, source=source, left=left, out_format=out, shift=requant.shift)
        case Permutation(order=order):
            tensors[f"{name}.order"] = np.asarray(order, np.int32)
            return _Permutation(name=name, inputs=inputs, source=source)
        case Reshape(shape=shape):
            return _Reshape(name=name, inputs=inputs, source=source, shape=shape)
    raise TypeError(f"stage {name}: the file format does not know {type(node).__name__}")


def _take(tensors: Tensors, name: str) -> IntArray:
    """Remove and return a tensor of integers; KeyError when it is missing."""
    tensor = tensors.pop(name)
    if not np.issubdtype(tensor.dtype, np.integer):
        raise ValueError(f"tensor {name} holds {tensor.dtype}, not integers")
    return as_integers(tensor)


def _build(node: _AnyNode, tensors: Tensors) -> Node:
    """The Node of its JSON; takes its integers out of `tensors`, KeyError when one is missing."""
    match node:
        case _Contraction():
            fmt = node.weight_format.build()
            weight = _take(tensors, f"{node.name}.weight")
            if isinstance(fmt, Codebook):
                weight = as_integers(fmt.decode(weight))
            m = b = None
            if node.affine:
                m = tuple(_take(tensors, f"{node.name}.multiplier").ravel().tolist())
                b = tuple(_take(tensors, f"{node.name}.offset").ravel().tolist())
            requant = Requantizer(node.out_format.build(), node.shift, m, b)
            window = node.window.build()
            carried = node.carried or (1, 1)
            return Contraction(node.name, node.inputs, node.source, window, weight, fmt, requant, *carried)
        case _Pool():
            return Pool(node.name, node.inputs, node.source, node.kind, node.window.build())
        case _Add():
            requant = Requantizer(node.out_format.build(), node.shift)
            return Add(node.name, node.inputs, node.source, node.left, requant)
        case _Permutation():
            order = tuple(_take(tensors, f"{node.name}.order").ravel().tolist())
            return Permutation(node.name, node.inputs, node.source, order)
        case _Reshape():
            return Reshape(node.name, node.inputs, node.source, node.shape)


def _digest(text: str, tensors: Tensors) -> str:
    """sha256 over the canonical JSON and, in name order, every tensor's name, type, shape and bytes."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"\n{name} {tensor.dtype.name} {list(tensor.shape)}\n".encode())
        found.update(np.ascontiguousarray(tensor).tobytes())
    return found.hexdigest()


def save(graph: Graph, path: str | os.PathLike[str]) -> str:
    """Write the graph to `path` in one step and return its digest.

    Raises
    ------
    ValueError
        When the graph's stages or its input do not fit together.
    """
    path = Path(path)
    spec = graph.input
    expected = input_spec(spec.sample_shape, spec.block, spec.offset, spec.edge.format, spec.gain)
    if spec != expected:
        raise ValueError(
            f"{path}: samples {list(spec.sample_shape)} in blocks of {spec.block} give inputs "
            f"{list(expected.edge.shape)}, the graph takes {list(spec.edge.shape)}"
        )
    _ = graph.edges  # walks every stage's own checks
    tensors: Tensors = {}
    model = _Model(
        name=graph.name,
        input=_Input(
            format=_Format.of(spec.edge.format),
            sample_shape=spec.sample_shape,
            block=spec.block,
            offset=spec.offset,
            gain=spec.gain if spec.gain > 1 else None,
        ),
        nodes=tuple(_describe(node, tensors) for node in graph.nodes),
        labels=graph.labels,
    )
    # safetensors writes a tensor's memory as it lies, whatever its strides are.
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    text = json.dumps(model.model_dump(mode="json", exclude_none=True), sort_keys=True, separators=(",", ":"))
    digest = _digest(text, tensors)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(serialize(tensors, {"qtt": text, "digest": digest}))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def _read(path: Path) -> tuple[str, Tensors, str]:
    """The JSON, the tensors and the verified digest of a model file."""
    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: not a model file, or cut short ({error})") from None
    if "qtt" not in metadata or "digest" not in metadata:
        raise ValueError(f"{path}: a safetensors file without a qtt model in its metadata")
    try:
        content = json.loads(metadata["qtt"])
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: its metadata is not JSON ({error})") from None
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION:
        raise ValueError(f"{path}: model file version {version}, this program reads version {VERSION}")
    digest = _digest(metadata["qtt"], tensors)
    if digest != metadata["digest"]:
        raise ValueError(f"{path}: its content does not match its digest; the file was changed or damaged")
    return metadata["qtt"], tensors, digest


def load(path: str | os.PathLike[str]) -> Graph:
    """The Graph of a model file; every check passes or a ValueError names the file on one line."""
    path = Path(path)
    text, tensors, _ = _read(path)
    try:
        model = _Model.model_validate_json(text)
    except ValidationError as error:
        raise one_line(error, str(path)) from None
    try:
        nodes = tuple(_build(node, tensors) for node in model.nodes)
        graph = Graph(model.name, model.input.build(), nodes, model.labels)
        _ = graph.edges
    except KeyError as error:
        raise ValueError(f"{path}: tensor {error.args[0]} is missing") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if tensors:
        raise ValueError(f"{path}: no stage uses tensor {min(tensors)}")
    return graph


def digest_of(path: str | os.PathLike[str]) -> str:
    """The sha256 digest of a model file, verified against its content, as hexadecimal digits."""
    return _read(Path(path))[2]
