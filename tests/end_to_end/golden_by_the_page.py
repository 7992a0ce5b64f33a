"""A golden model written from docs/format.md alone: numpy, json, struct and hashlib, nothing of qtt-hw.

    python golden_by_the_page.py MODEL.qtt SAMPLES.npy

prints the logits and the class of every raw sample, bytes [N, D, H, W, C].
"""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {"I8": "int8", "U8": "uint8", "I16": "int16", "I32": "int32", "I64": "int64"}


class Model:
    """A .qtt file: its network as JSON, its tensors, and their digest compared with the file's."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + size])
        metadata, data = header.pop("__metadata__"), content[8 + size :]
        self.network = json.loads(metadata["qtt"])
        self.tensors: dict[str, np.ndarray] = {}
        digest = hashlib.sha256(metadata["qtt"].encode())
        for name in sorted(header):
            entry = header[name]
            kind, shape, (begin, end) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
            digest.update(f"\n{name} {kind} {shape}\n".encode() + data[begin:end])
            self.tensors[name] = np.frombuffer(data[begin:end], np.dtype(kind).newbyteorder("<")).reshape(shape)
        if self.network["version"] != 1 or digest.hexdigest() != metadata["digest"]:
            raise ValueError(f"{path}: another version, or changed")

    def tensor(self, node: dict[str, Any], word: str) -> np.ndarray:
        return self.tensors[f"{node['name']}.{word}"].astype(np.int64)

    def integers(self, raw: np.ndarray) -> np.ndarray:
        """Raw samples [N, D, H, W, C] as the network's input: gain, offset, space to depth."""
        spec = self.network["input"]
        x = raw.astype(np.int64) * spec.get("gain", 1) - spec["offset"]
        depth, b = spec["sample_shape"][0], spec["block"]
        bd, bh, bw = (b if depth > 1 else 1), b, b
        n, d, h, w, c = x.shape
        x = np.pad(x, ((0, 0), (0, -d % bd), (0, -h % bh), (0, -w % bw), (0, 0)))
        n, d, h, w, c = x.shape
        x = x.reshape(n, d // bd, bd, h // bh, bh, w // bw, bw, c).transpose(0, 1, 3, 5, 2, 4, 6, 7)
        return x.reshape(n, d // bd, h // bh, w // bw, bd * bh * bw * c)

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The integers of every stage, int64 [N, D, H, W, C], by its name."""
        streams = {"input": x.astype(np.int64)}
        for node in self.network["nodes"]:
            compute = getattr(self, "_" + node["kind"])
            streams[node["name"]] = compute(node, *(streams[name] for name in node["inputs"]))
        return streams

    def _contraction(self, node: dict[str, Any], x: np.ndarray) -> np.ndarray:
        weight = self._weight(node)
        (lead, trail), groups = node.get("carried", [1, 1]), node.get("groups", 1)
        total: Any = 0
        for (kd, kh, kw), taken in taps(node["window"], x, 0):
            v = taken.reshape(*taken.shape[:4], lead, groups, weight.shape[4], trail)
            w = weight[:, kd, kh, kw].reshape(groups, -1, weight.shape[4])
            total = total + np.einsum("ndhwlqir,qoi->ndhwlqor", v, w)
        return self._requantised(node, total.reshape(*total.shape[:4], -1))

    def _weight(self, node: dict[str, Any]) -> np.ndarray:
        stored, fmt = self.tensor(node, "weight"), node["weight_format"]
        if "magnitudes" not in fmt:
            return stored
        sign, index = stored >> (fmt["bits"] - 1), stored & ((1 << (fmt["bits"] - 1)) - 1)
        size = np.where(index == 0, 0, 1 << np.maximum(index - 1, 0)) if fmt["zero"] else 1 << index
        return np.where(sign == 1, -size, size)

    def _requantised(self, node: dict[str, Any], a: np.ndarray) -> np.ndarray:
        if node.get("affine"):
            a = a * self.tensor(node, "multiplier") + self.tensor(node, "offset")
        s, fmt = node["shift"], node["out_format"]
        rounded = (a + (1 << (s - 1))) >> s if s > 0 else a << -s
        if not fmt["signed"]:
            return np.clip(rounded, 0, (1 << fmt["bits"]) - 1)
        top = 1 << (fmt["bits"] - 1)
        return np.clip(rounded, -top + int(fmt.get("narrow", False)), top - 1)

    def _max(self, node: dict[str, Any], x: np.ndarray) -> np.ndarray:
        lowest = np.iinfo(np.int64).min
        return np.max([taken for _, taken in taps(node["window"], x, lowest)], axis=0)

    def _average(self, node: dict[str, Any], x: np.ndarray) -> np.ndarray:
        total = sum(taken for _, taken in taps(node["window"], x, 0))
        n: Any = sum(taken for _, taken in taps(node["window"], np.ones_like(x), 0))
        if node.get("counts_padding"):
            n = np.prod(node["window"]["kernel"])
        return (2 * total + n) // (2 * n)

    def _permutation(self, node: dict[str, Any], x: np.ndarray) -> np.ndarray:
        return x[..., self.tensor(node, "order")]

    def _slice(self, node: dict[str, Any], x: np.ndarray) -> np.ndarray:
        return x[..., node["first"] : node["first"] + node["count"]]

    def _reshape(self, node: dict[str, Any], x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), *node["shape"])

    def _table(self, node: dict[str, Any], x: np.ndarray) -> np.ndarray:
        entries = self.tensor(node, "entries")
        return entries[x % len(entries)]

    def _add(self, node: dict[str, Any], a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self._requantised(node, (a << node["left"][0]) + (b << node["left"][1]))

    def _multiplication(self, node: dict[str, Any], a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self._requantised(node, a * b)

    def _concatenation(self, node: dict[str, Any], *xs: np.ndarray) -> np.ndarray:
        shifted = [x << left for x, left in zip(xs, node["left"], strict=True)]
        return self._requantised(node, np.concatenate(shifted, axis=-1))


def taps(window: dict[str, Any], x: np.ndarray, padding: int) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Each tap (kd, kh, kw) with what it reads for all outputs, [N, D', H', W', C]."""
    padded = np.pad(x, ((0, 0), *window["padding"], (0, 0)), constant_values=padding)
    kernel, stride, dilation = window["kernel"], window["stride"], window.get("dilation", [1, 1, 1])
    out = [(padded.shape[a + 1] - (kernel[a] - 1) * dilation[a] - 1) // stride[a] + 1 for a in range(3)]
    for tap in itertools.product(*map(range, kernel)):
        first = [k * step for k, step in zip(tap, dilation, strict=True)]
        axes = tuple(slice(f, f + (n - 1) * s + 1, s) for f, n, s in zip(first, out, stride, strict=True))
        yield tap, padded[(slice(None), *axes)]


def main(model: str, samples: str) -> None:
    found = Model(Path(model))
    last, labels = found.network["nodes"][-1]["name"], found.network["labels"]
    logits = found.run(found.integers(np.load(samples)))[last].reshape(-1, len(labels) or 1)
    for row in logits:
        best = int(np.argmax(row))  # of equal ones the first
        print(row.tolist(), labels[best] if labels else best)


if __name__ == "__main__":
    main(*sys.argv[1:])
