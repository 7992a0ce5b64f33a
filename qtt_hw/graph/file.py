"""The model file: one safetensors file of integer tensors, its graph as validated, versioned JSON, and a digest."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Union

import numpy as np
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from qtt_hw.errors import named, short
from qtt_hw.files import write_file
from qtt_hw.graph.graph import Graph, InputSpec
from qtt_hw.graph.kinds import RECORDS
from qtt_hw.graph.node import Node
from qtt_hw.graph.preprocess import input_spec
from qtt_hw.graph.record import MOST_BYTES, FormatRecord, Name, Quad, Record, Size, Small, Strict, Tensors
from qtt_hw.reading import MOST_TEXT, parse_json
from qtt_hw.versions import MODEL

__all__ = ["digest_of", "is_model", "load", "save"]

#: What the integers of a tensor may be stored as, with safetensors' names.
_TYPES = {"I8": "int8", "U8": "uint8", "I16": "int16", "I32": "int32", "I64": "int64"}

_AnyNode: Any = Annotated[Union[RECORDS], Field(discriminator="kind")]  # noqa: UP007 - of a table


class _Input(Strict):
    format: FormatRecord
    sample_shape: Quad
    block: Size
    offset: Small
    gain: Small | None = None

    def build(self) -> InputSpec:
        gain = 1 if self.gain is None else self.gain
        return input_spec(self.sample_shape, self.block, self.offset, self.format.build(), gain)


class _Model(Strict):
    version: int = MODEL.written
    name: Name
    input: _Input
    nodes: tuple[_AnyNode, ...]  # type: ignore[valid-type]
    labels: tuple[str, ...]


def _digest(text: str, tensors: Tensors) -> str:
    """sha256 over the canonical JSON and, in name order, every tensor's name, type, shape and bytes."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"\n{name} {tensor.dtype.name} {list(tensor.shape)}\n".encode())
        found.update(np.ascontiguousarray(tensor).tobytes())
    return found.hexdigest()


def save(graph: Graph, path: str | os.PathLike[str]) -> str:
    """Write a graph as a model file: integer tensors, formats, preprocessing and labels, and a digest of them all.

    The file is written in one step, so it is whole or absent; the same graph gives the same digest.

    Parameters
    ----------
    graph : Graph
    path : path
        Conventionally `NAME.qtt`.

    Returns
    -------
    str
        The digest, as `digest_of` reads it.

    Raises
    ------
    ValueError
        When the graph's stages or its input do not fit together, or the file would be too large.
    OSError
        When the file cannot be written.

    Examples
    --------
    >>> import qtt_hw
    >>> graph = qtt_hw.load("models/lenet-mnist.qtt")
    >>> digest = qtt_hw.save(graph, "copy.qtt")
    >>> digest == qtt_hw.digest_of("models/lenet-mnist.qtt")
    True
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
                format=FormatRecord.of(spec.edge.format),
                sample_shape=spec.sample_shape,
                block=spec.block,
                offset=spec.offset,
                gain=spec.gain if spec.gain > 1 else None,
            ),
            nodes=tuple(node.record(tensors) for node in graph.nodes),
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
        return isinstance(json.loads(json.loads(head)["__metadata__"]["qtt"])["nodes"], list)
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
        MODEL.check(parse_json(text).get("version"))
        for name in file.keys():  # noqa: SIM118
            stored = file.get_slice(name).get_dtype()
            if stored not in _TYPES:
                raise ValueError(f"tensor {name} holds {stored}, expected one of {', '.join(_TYPES.values())}")
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    digest = _digest(text, tensors)
    if digest != metadata["digest"]:
        raise ValueError(f"{path}: its content does not match its digest; the file was changed or damaged")
    return text, tensors, digest


def _built(record: Record, tensors: Tensors) -> Node:
    """The node of a record; a ValueError names the stage."""
    with named(f"stage {record.name}"):
        found: Node = record.build(tensors)
    return found


def load(path: str | os.PathLike[str]) -> Graph:
    """The Graph of a model file, after a check of its digest, of every number in it and of every stage.

    Parameters
    ----------
    path : path
        What `save`, `freeze_run` or `qtt freeze` wrote.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        One line that names the file: it cannot be read, is no model file, was changed, or its stages do not fit.

    Examples
    --------
    >>> import qtt_hw
    >>> graph = qtt_hw.load("models/voxtt-modelnet10.qtt")
    >>> graph.input.sample_shape, len(graph.nodes), graph.labels[:3]
    ((30, 30, 30, 1), 21, ('bathtub', 'bed', 'chair'))
    >>> qtt_hw.load("nothing.qtt")
    Traceback (most recent call last):
        ...
    ValueError: nothing.qtt: No such file or directory
    """
    path = Path(path)
    text, tensors, _ = _read(path)
    with named(path):
        model = _Model.model_validate_json(text, strict=True)
        nodes = tuple(_built(record, tensors) for record in model.nodes)
        graph = Graph(model.name, model.input.build(), nodes, model.labels)
        if tensors:
            raise ValueError(f"no stage uses tensor {min(tensors)}")
    return graph


def digest_of(path: str | os.PathLike[str]) -> str:
    """The sha256 digest of a model file, verified against its content, as 64 hexadecimal digits.

    Parameters
    ----------
    path : path

    Returns
    -------
    str

    Raises
    ------
    ValueError
        One line that names the file: it cannot be read, is no model file, or its content has another digest.

    Examples
    --------
    >>> from pathlib import Path
    >>> import qtt_hw
    >>> len(qtt_hw.digest_of("models/lenet-mnist.qtt"))
    64
    >>> content = bytearray(Path("models/lenet-mnist.qtt").read_bytes())
    >>> content[-1] ^= 1
    >>> _ = Path("changed.qtt").write_bytes(content)
    >>> qtt_hw.digest_of("changed.qtt")
    Traceback (most recent call last):
        ...
    ValueError: changed.qtt: its content does not match its digest; the file was changed or damaged
    """
    return _read(Path(path))[2]
