"""The model file: one safetensors file of integer tensors, its graph as validated, versioned JSON, and a digest."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from qtt_hw.codebook import Codebook
from qtt_hw.errors import named, short
from qtt_hw.files import write_file
from qtt_hw.fixedpoint import Format, IntArray, Requantizer
from qtt_hw.ir.graph import Graph, InputSpec
from qtt_hw.ir.nodes import (
    MOST_CHANNELS,
    MOST_VALUES,
    Add,
    Contraction,
    Node,
    Permutation,
    Pool,
    Reshape,
    Window,
    as_integers,
)
from qtt_hw.ir.preprocess import input_spec
from qtt_hw.reading import MOST_TEXT, parse_json

__all__ = ["VERSION", "digest_of", "is_model", "load", "save"]

#: Version of the JSON schema below; a reader refuses any other.
VERSION: Final = 1

#: Bytes of a model file: more weights than any FPGA holds.
MOST_BYTES: Final = 1 << 28
#: What the integers of a tensor may be stored as, with safetensors' names.
_TYPES = {"I8": "int8", "U8": "uint8", "I16": "int16", "I32": "int32", "I64": "int64"}

#: Of a network or a stage: any text that a user calls it.
Name = Annotated[str, Field(min_length=1, max_length=4096)]
Size = Annotated[int, Field(ge=1, le=MOST_VALUES)]
Padding = Annotated[int, Field(ge=0, le=MOST_VALUES)]
Quad = tuple[Size, Size, Size, Size]
Triple = tuple[Size, Size, Size]
Paddings = tuple[Padding, Padding]
#: Of a number that only small ones make sense of; what it means bounds it further.
Small = Annotated[int, Field(ge=-1024, le=1024)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Format(_Strict):
    bits: Small
    signed: bool
    frac: Small
    narrow: bool = False

    @staticmethod
    def of(fmt: Format) -> _Format:
        return _Format(bits=fmt.bits, signed=fmt.signed, frac=fmt.frac, narrow=fmt.narrow)

    def build(self) -> Format:
        return Format(self.bits, self.signed, self.frac, self.narrow)


class _Codebook(_Strict):
    bits: Small
    magnitudes: Small
    zero: bool
    frac: Small

    @staticmethod
    def of(fmt: Codebook) -> _Codebook:
        return _Codebook(bits=fmt.bits, magnitudes=fmt.magnitudes, zero=fmt.zero, frac=fmt.frac)

    def build(self) -> Codebook:
        return Codebook(self.bits, self.magnitudes, self.zero, self.frac)


class _Window(_Strict):
    kernel: Triple
    stride: Triple
    padding: tuple[Paddings, Paddings, Paddings]

    @staticmethod
    def of(window: Window) -> _Window:
        return _Window(kernel=window.kernel, stride=window.stride, padding=window.padding)

    def build(self) -> Window:
        return Window(self.kernel, self.stride, self.padding)


class _Node(_Strict):
    name: Name
    inputs: tuple[Name, ...]
    source: Annotated[str, Field(max_length=4096)]


class _Contraction(_Node):
    """Its integers are the tensors <name>.weight and, when affine, <name>.multiplier and <name>.offset.

    With a codebook, <name>.weight holds codes.
    `carried` is (lead, trail), absent when both are 1.
    """

    kind: Literal["contraction"] = "contraction"
    window: _Window
    weight_format: _Format | _Codebook
    out_format: _Format
    shift: Small
    affine: bool
    carried: tuple[Size, Size] | None = None


class _Pool(_Node):
    kind: Literal["max", "average"]
    window: _Window


class _Add(_Node):
    kind: Literal["add"] = "add"
    left: tuple[Small, Small]
    out_format: _Format
    shift: Small


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
    block: Size
    offset: Small
    gain: Small | None = None

    def build(self) -> InputSpec:
        gain = 1 if self.gain is None else self.gain
        return input_spec(self.sample_shape, self.block, self.offset, self.format.build(), gain)


class _Model(_Strict):
    version: Literal[1] = VERSION
    name: Name
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


def _take(tensors: Tensors, name: str, types: tuple[str, ...], axes: int = 1, most: int = MOST_CHANNELS) -> IntArray:
    """Remove and return a tensor of one of these types, with so many axes and at most so many integers."""
    if name not in tensors:
        raise ValueError(f"tensor {name} is missing")
    tensor = tensors.pop(name)
    if tensor.dtype.name not in types:
        raise ValueError(f"tensor {name} holds {tensor.dtype.name}, expected {' or '.join(types)}")
    if tensor.ndim != axes or tensor.size > most:
        expected = f"{axes} axes and at most {most} values"
        raise ValueError(f"tensor {name} has shape {list(tensor.shape)}, expected {expected}")
    return as_integers(tensor)


def _weight(tensors: Tensors, name: str, fmt: Format | Codebook) -> IntArray:
    """The integers of a contraction's weights; a codebook's are stored as codes."""
    types = ("uint8",) if isinstance(fmt, Codebook) else ("int8",) if fmt.bits <= 8 else ("int16",)
    stored = _take(tensors, name, types, 5, MOST_BYTES)
    if not isinstance(fmt, Codebook):
        return stored
    if stored.size and stored.max() >= 1 << fmt.bits:
        raise ValueError(f"tensor {name} holds {stored.max()}, codes of {fmt.bits} bits are below {1 << fmt.bits}")
    return as_integers(fmt.decode(stored))


def _build(node: _AnyNode, tensors: Tensors) -> Node:
    """The Node of its JSON; takes its integers out of `tensors`, ValueError when one is missing or of another type."""
    match node:
        case _Contraction():
            fmt = node.weight_format.build()
            weight = _weight(tensors, f"{node.name}.weight", fmt)
            m = b = None
            if node.affine:
                m = tuple(_take(tensors, f"{node.name}.multiplier", ("int16", "int32")).tolist())
                b = tuple(_take(tensors, f"{node.name}.offset", ("int32", "int64")).tolist())
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
            order = tuple(_take(tensors, f"{node.name}.order", ("int32",)).tolist())
            return Permutation(node.name, node.inputs, node.source, order)
        case _Reshape():
            return Reshape(node.name, node.inputs, node.source, node.shape)


def _named(node: _AnyNode, tensors: Tensors) -> Node:
    """`_build`, whose ValueErrors then name the stage."""
    with named(f"stage {node.name}"):
        return _build(node, tensors)


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
    tensors: Tensors = {}
    with named(path):
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
    content = serialize(tensors, {"qtt": text, "digest": digest})
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path}: would have {len(content)} bytes, {MOST_BYTES} are the most of a model file")
    write_file(path, content)
    return digest


def is_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a model file does; it may be damaged behind that."""
    with Path(path).open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        head = stream.read(min(size, 1 << 24))
    try:
        return "qtt" in json.loads(head)["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _read(path: Path) -> tuple[str, Tensors, str]:
    """The JSON, the tensors and the verified digest of a model file."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise ValueError(f"{path}: is a folder, expected a model file")
        if size > MOST_BYTES:
            raise ValueError(f"{path}: has {size} bytes, {MOST_BYTES} are the most of a model file")
        with safe_open(str(path), framework="np") as file:
            return _content(path, file)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise ValueError(f"{path}: not a model file, or cut short ({short(error)})") from None


def _content(path: Path, file: Any) -> tuple[str, Tensors, str]:
    """The same of an open one; everything that its header says is checked before a tensor is read."""
    metadata = file.metadata() or {}
    if "qtt" not in metadata or "digest" not in metadata:
        raise ValueError(f"{path}: a safetensors file without a qtt model in its metadata")
    text = metadata["qtt"]
    if len(text) > MOST_TEXT:
        raise ValueError(f"{path}: its metadata has {len(text)} characters, {MOST_TEXT} are the most")
    with named(path):
        version = parse_json(text).get("version")
        if version != VERSION:
            raise ValueError(f"model file version {version}, this program reads version {VERSION}")
        for name in file.keys():  # noqa: SIM118
            stored = file.get_slice(name).get_dtype()
            if stored not in _TYPES:
                raise ValueError(f"tensor {name} holds {stored}, expected one of {', '.join(_TYPES.values())}")
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    digest = _digest(text, tensors)
    if digest != metadata["digest"]:
        raise ValueError(f"{path}: its content does not match its digest; the file was changed or damaged")
    return text, tensors, digest


def load(path: str | os.PathLike[str]) -> Graph:
    """The Graph of a model file; every check passes or a ValueError names the file on one line."""
    path = Path(path)
    text, tensors, _ = _read(path)
    with named(path):
        model = _Model.model_validate_json(text, strict=True)
        nodes = tuple(_named(node, tensors) for node in model.nodes)
        graph = Graph(model.name, model.input.build(), nodes, model.labels)
        if tensors:
            raise ValueError(f"no stage uses tensor {min(tensors)}")
    return graph


def digest_of(path: str | os.PathLike[str]) -> str:
    """The sha256 digest of a model file, verified against its content, as hexadecimal digits."""
    return _read(Path(path))[2]
