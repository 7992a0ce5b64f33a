"""Folders of 3D shapes: ModelNet's CLASS/train/*.off and 3DShapeNets' CLASS/30/train/*.mat, as voxels."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtt_hw.data.collection import Collection
from qtt_hw.data.folders import VALIDATION
from qtt_hw.data.npz import reason
from qtt_hw.data.options import MatOptions, MeshOptions, require
from qtt_hw.data.prepare import Unusable, prepare
from qtt_hw.data.rotations import ROTATIONS
from qtt_hw.data.samples import Samples, sample_digests
from qtt_hw.data.voxelize import read_off, voxelize

__all__ = ["MAT_EDGE", "has_mats", "has_meshes", "load_mats", "load_meshes", "read_mat"]

#: Voxels along each edge of the 3DShapeNets volumes, and the name of their folder.
MAT_EDGE = 30

#: (path, class, part: train, validation or test)
_Entry = tuple[Path, int, str]
#: The folders of the parts; validation samples are rarely kept apart.
_PARTS = {"train": ("train",), "validation": VALIDATION, "test": ("test",)}


def has_meshes(folder: Path) -> bool:
    """Whether the folder is laid out as CLASS/train/*.off."""
    return any(path.suffix.lower() == ".off" for path in folder.glob("*/train/*"))


def has_mats(folder: Path) -> bool:
    """Whether the folder is laid out as CLASS/30/train/*.mat."""
    return any(path.suffix.lower() == ".mat" for path in folder.glob(f"*/{MAT_EDGE}/train/*"))


def _list(folder: Path, inner: str, suffix: str) -> tuple[list[_Entry], tuple[str, ...]]:
    """Files of CLASS/inner/train, val and test, by class and name, and the classes that have training files."""

    def files(label: str, part: str) -> list[Path]:
        found = [path for name in _PARTS[part] for path in (folder / label / inner / name).glob("*")]
        return sorted(path for path in found if path.suffix.lower() == suffix and not path.name.startswith("."))

    folders = sorted(child.name for child in folder.iterdir() if child.is_dir())
    labels = tuple(name for name in folders if files(name, "train"))
    for name in folders:
        if name not in labels and (files(name, "test") or files(name, "validation")):
            raise ValueError(f"{folder / name}: a class with test files, but no train/*{suffix}")
    entries = [
        (path, index, part) for index, name in enumerate(labels) for part in _PARTS for path in files(name, part)
    ]
    return entries, labels


def _passed_over(folder: Path, inner: str, suffix: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    """What stands in the folder and is not read, in words: classes without files, and folders that are no part."""
    known = {name for names in _PARTS.values() for name in names}
    passed = []
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name.startswith("."):
            continue
        if child.name not in labels:
            passed.append(f"{child.name}/ (no train/*{suffix})")
            continue
        within = child / inner
        odd = (p for p in within.iterdir() if p.is_dir() and p.name not in known and not p.name.startswith("."))
        passed += sorted(f"{path.relative_to(folder).as_posix()}/" for path in odd)
    return (f"not read: {', '.join(passed)}",) if passed else ()


def load_meshes(folder: Path, options: MeshOptions) -> Collection:
    """Voxels uint8 0 or 1 [N, edge, edge, edge, 1] of ModelNet's meshes CLASS/train/*.off and CLASS/test/*.off.

    Axes D, H, W are the mesh's x, y, z: z is up. The longest side of an object spans edge - 2 * padding voxels.

    Parameters
    ----------
    folder : Path
    options : MeshOptions

    Raises
    ------
    ValueError
        One line that names the file.
    """
    if options.edge <= 2 * options.padding:
        raise ValueError(f"{folder}: padding {options.padding} on both sides leaves nothing of edge {options.edge}")
    entries, labels = _list(folder, "", ".off")
    parameters = {"kind": "off", "reader": 2, **options.model_dump(include={"edge", "padding", "fill"})}

    def convert(path: Path) -> NDArray[np.uint8]:
        return voxelize(read_off(path), options.edge, options.padding, options.fill)

    prepared = prepare(
        folder,
        [path for path, _, _ in entries],
        (options.edge,) * 3,
        parameters,
        convert,
        corrupt=options.corrupt,
    )
    rows = [entries[row] for row in prepared.kept]
    groups = [path.relative_to(folder).as_posix() for path, _, _ in rows]
    read = f"{len(rows)} meshes as voxels [{options.edge}, {options.edge}, {options.edge}] of their x, y, z"
    found = _collection(prepared.rows, rows, groups, labels, options.rotations, read)
    return replace(found, notes=_passed_over(folder, "", ".off", labels))


def read_mat(path: Path) -> NDArray[np.uint8]:
    """The variable `instance`, occupancy uint8 0 or 1 [30, 30, 30], of a MATLAB file; nothing is unpickled.

    Raises
    ------
    Unusable
        One line that names the file.
    """
    io = require("scipy.io", "reading .mat volumes")
    try:
        # The sizes stand before the values: what is too large is not unpacked.
        shapes = {name: shape for name, shape, _ in io.whosmat(str(path))}
        instance = None
        if math.prod(shapes.get("instance", (0,))) <= 2 * MAT_EDGE**3:
            instance = io.loadmat(str(path), variable_names=["instance"]).get("instance")
    except Exception as error:  # zlib, struct and value errors, and NotImplementedError for HDF5
        raise Unusable(f"{path}: not a readable .mat file: {reason(error)}") from None
    if instance is None and "instance" in shapes:
        raise Unusable(f"{path}: instance is {list(shapes['instance'])}, expected numbers {[MAT_EDGE] * 3}")
    if instance is None:
        raise Unusable(f"{path}: has no variable instance")
    if not isinstance(instance, np.ndarray) or instance.shape != (MAT_EDGE,) * 3 or instance.dtype.kind not in "buif":
        found = f"{instance.dtype} {list(instance.shape)}" if isinstance(instance, np.ndarray) else "something else"
        raise Unusable(f"{path}: instance is {found}, expected numbers [{MAT_EDGE}, {MAT_EDGE}, {MAT_EDGE}]")
    if not ((instance == 0) | (instance == 1)).all():
        raise Unusable(f"{path}: instance holds other values than 0 and 1")
    return instance.astype(np.uint8)


def load_mats(folder: Path, options: MatOptions) -> Collection:
    """Voxels uint8 0 or 1 [N, edge, edge, edge, 1] of 3DShapeNets' CLASS/30/train/*.mat and CLASS/30/test/*.mat.

    An object is NAME_1.mat to NAME_12.mat, or a single file. With `rotations = 12` all its files are samples, or the
    single file's twelve rotations; with 1 the first alone is. Axes are as in the files.

    Parameters
    ----------
    folder : Path
    options : MatOptions

    Raises
    ------
    ValueError
        One line that names the file.
    """
    require("scipy.io", "reading .mat volumes")
    entries, labels = _list(folder, str(MAT_EDGE), ".mat")
    objects: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        objects[_object(entry[0])].append(entry)
    common = Counter(len(files) for files in objects.values()).most_common(1)[0][0]
    for name, files in objects.items():
        if len(files) != common or common not in (1, ROTATIONS):
            raise ValueError(f"{name}_*.mat: {len(files)} files of one object, expected {ROTATIONS} of every one, or 1")
    chosen = [entry for files in objects.values() for entry in _in_order(files)[: options.rotations]]
    before = (options.edge - MAT_EDGE) // 2

    def convert(path: Path) -> NDArray[np.uint8]:
        return np.pad(read_mat(path), (before, options.edge - MAT_EDGE - before))

    prepared = prepare(
        folder,
        [path for path, _, _ in chosen],
        (options.edge,) * 3,
        {"kind": "mat", "edge": options.edge},
        convert,
        corrupt=options.corrupt,
    )
    rows = [chosen[row] for row in prepared.kept]
    groups = [_object(path.relative_to(folder)) for path, _, _ in rows]
    read = f"{len(rows)} .mat volumes [{MAT_EDGE}, {MAT_EDGE}, {MAT_EDGE}] as D, H, W"
    found = _collection(prepared.rows, rows, groups, labels, options.rotations if common == 1 else 1, read)
    return replace(found, notes=_passed_over(folder, str(MAT_EDGE), ".mat", labels))


def _object(path: Path) -> str:
    return path.with_name(re.sub(r"_(?:[1-9]|1[0-2])$", "", path.stem)).as_posix()


def _in_order(files: list[_Entry]) -> list[_Entry]:
    """By the number of the rotation: 2 before 10."""
    return sorted(files, key=lambda entry: (len(entry[0].stem), entry[0].stem))


def _collection(
    x: NDArray[np.uint8], rows: list[_Entry], groups: list[str], labels: tuple[str, ...], rotations: int, read: str
) -> Collection:
    # Objects of equal volumes are one group: the name of the first of them.
    first: dict[bytes, str] = {}
    named: dict[str, str] = {}
    for digest, group in zip(sample_digests(x), groups, strict=True):
        if group not in named:
            named[group] = first.setdefault(digest, group)
    samples = Samples(x[..., None], np.array([label for _, label, _ in rows], dtype=np.int64))
    own = {name: np.array([part == name for _, _, part in rows], dtype=bool) for name in ("validation", "test")}
    return Collection(
        samples,
        tuple(named[group] for group in groups),
        labels,
        own["test"] if own["test"].any() else None,
        rotated=rotations == ROTATIONS,
        validation=own["validation"] if own["validation"].any() else None,
        read=read,
    )
