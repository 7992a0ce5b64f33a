"""One name for every data source: a named set, a folder of any known layout, an npz, solids or file.py:Dataset."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtt_hw.data.arrays import Raw, from_mapping, has_validation, is_known
from qtt_hw.data.cifar import CIFAR10, JPEG_FILES, cifar_folder, load_cifar
from qtt_hw.data.collection import Collection
from qtt_hw.data.egogestar import FILE as EGOGESTAR_FILE
from qtt_hw.data.egogestar import load_egogestar
from qtt_hw.data.folders import VALIDATION, has_classes, load_folder
from qtt_hw.data.mnist import has_idx, load_mnist
from qtt_hw.data.modelnet10 import FILE as MODELNET10_FILE
from qtt_hw.data.modelnet10 import load_modelnet10
from qtt_hw.data.npz import npz_keys, read_npz
from qtt_hw.data.options import (
    ArrayOptions,
    FlowOptions,
    MatOptions,
    MeshOptions,
    Option,
    SolidsOptions,
    VideoOptions,
    parse_options,
)
from qtt_hw.data.samples import Samples, Splits, holdout
from qtt_hw.data.shapes import has_mats, has_meshes, load_mats, load_meshes
from qtt_hw.data.solids import load_solids
from qtt_hw.data.video_sets import has_videos, load_videos
from qtt_hw.near import did_you_mean
from qtt_hw.options import SOURCES
from qtt_hw.user_code import load_name, running

__all__ = ["LAYOUTS", "NAMED", "load", "own_validation"]

#: Sets in the folder that $QTT_DATA names.
NAMED = SOURCES

#: The layouts of folders that are recognised.
LAYOUTS = (
    f"{MODELNET10_FILE}, or class folders that hold .npy volumes (under train/ and test/ or not)",
    EGOGESTAR_FILE,
    "MNIST's train-images-idx3-ubyte.gz and its three others, unzipped or not",
    "CIFAR's data_batch_1.bin to 5 and test_batch.bin, or train.bin and test.bin",
    " and ".join(JPEG_FILES.values()),
    "meshes as CLASS/train/*.off and CLASS/test/*.off",
    "volumes as CLASS/30/train/*.mat and CLASS/30/test/*.mat",
    "videos as CLASS/v_CLASS_gNN_cNN.avi, CLASS/v_CLASS_GG/*.avi, or CLASS_SERIAL.avi with a clips.csv",
)


#: What is held out of a training set when nothing is said: of MNIST and CIFAR 5 000 images, as is usual there.
TENTH, HELD_IMAGES = 0.1, 5_000


def load(
    source: str | Path,
    *,
    validation: float | int | str | None = None,
    test: float | int = TENTH,
    seed: int = 0,
    **options: Option,
) -> Splits:
    """Training, validation and test samples, uint8 [N, D, H, W, C] with int64 labels.

    Parameters
    ----------
    source : str or path
        One of `NAMED` (in the folder $QTT_DATA names), `solids` or `solids:EDGE`, an npz file with x and y (and
        x_val, y_val, x_test, y_test, labels, axes), or as MedMNIST's are, `file.py:Dataset`, a class or function
        without arguments, or a folder: one of those in `LAYOUTS`. Options may follow behind commas:
        `egogestar,fold=4`, `own.npz,axes=NCDHW`.
    validation : float, int or "official", optional
        Share of every class of the training set that is held out, or how many samples of all classes in proportion,
        chosen by a hash of each sample's bytes; `own_validation` unless given. An object's rotations, and videos of
        one group or serial, stay together. "official" demands the source's own validation samples; where it has some,
        a share is refused.
    test : float or int
        Likewise, and only where the source brings no test set of its own.
    seed : int
        Of the two choices, of the generated solids, and of the training clips of videos.
    **options : int, float, str or bool
        Of `solids`, arrays, meshes, .mat volumes and videos, as `qtt_hw.data.options` describes them. Files are
        converted once; the result is kept in ~/.cache/qtt-hw, or the folder that $QTT_CACHE names.

    Raises
    ------
    ValueError
        One line that names the source, or the file in it, and what was expected of it.
    """
    text, behind = _split_options(str(source))
    name, found = _read(text, seed, {**behind, **options})
    official = found.validation is not None
    if validation is None:
        validation = "official" if official else _share(text)
    if official != (validation == "official"):
        fault = "has no validation samples of its own: give a share of the training samples, or leave it out"
        if official:
            fault = f'has its own validation samples: leave validation = {validation} out, or set it to "official"'
        raise ValueError(f"{source}: {fault}")
    held_out = ("validation",) * (not official) + ("test",) * (found.test is None)
    share = validation if not isinstance(validation, str) else 0.0
    try:
        parts = found.split(share, test, seed) if isinstance(found, Collection) else _split(found, share, test, seed)
        if len(found.labels) < 2:
            raise ValueError(f"all its samples are of one class, {found.labels[0]}: there is nothing to tell apart")
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return Splits(*parts, found.labels, name, found.read, held_out, found.notes, validation)


def _split(raw: Raw, validation: float | int, test: float | int, seed: int) -> tuple[Samples, Samples, Samples]:
    """(training, validation, test), of which those that the source has not are held out."""
    train, own_test = (raw.train, raw.test) if raw.test is not None else holdout(raw.train, test, seed, "test")
    if raw.validation is not None:
        return train, raw.validation, own_test
    return *holdout(train, validation, seed), own_test


def own_validation(source: str | Path) -> str | float | int:
    """Where `load` takes a source's validation samples from unless told: "official" where it has its own.

    Else it holds out 5 000 images of MNIST and CIFAR, and a tenth of every class of any other source.
    """
    text, options = _split_options(str(source))
    path = Path(_located(text))
    if ".py:" in text:  # which only it knows itself
        _, found = _read(text, 0, options)
        return "official" if found.validation is not None else TENTH
    if path.is_dir():
        patterns = [pattern for name in VALIDATION for pattern in (f"*/{name}/*.off", f"*/30/{name}/*.mat")]
        if any(True for pattern in patterns for _ in path.glob(pattern)):
            return "official"
        if has_classes(path) and any((path / name).is_dir() for name in VALIDATION) and (path / "train").is_dir():
            return "official"
    return "official" if path.is_file() and has_validation(npz_keys(path)) else _share(text)


def _share(source: str) -> float | int:
    """What is held out of a source that has no validation samples of its own."""
    folder = Path(_located(source))
    images = folder.is_dir() and (has_idx(folder) or cifar_folder(folder) is not None)
    return HELD_IMAGES if images else TENTH


def _located(source: str) -> str:
    """The folder of a named set; any other source as it is."""
    if source not in NAMED:
        return source
    root = os.environ.get("QTT_DATA")
    if not root:
        raise ValueError(f"{source}: set QTT_DATA to the folder that holds {source}/, or name the folder itself")
    return str(Path(root) / source)


def _split_options(source: str) -> tuple[str, dict[str, Option]]:
    """(source, options) of `source,name=value,name=value`, unless there is a file of just that name."""
    first, *rest = source.split(",")
    if not rest or Path(source).exists() or not all(re.fullmatch(r"[a-z_]+=[^=]*", part) for part in rest):
        return source, {}
    return first, {name: _value(value) for name, _, value in (part.partition("=") for part in rest)}


def _value(text: str) -> Option:
    """What TOML would read, or a string without quotes."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _read(source: str, seed: int, options: dict[str, Option]) -> tuple[str, Raw | Collection]:
    kind, _, argument = source.partition(":")
    if kind == "solids":
        if argument:
            if not argument.isdecimal():
                raise ValueError(f"{source}: expected solids or solids:EDGE with EDGE in voxels")
            options = {**options, "edge": int(argument)}
        return "solids", load_solids(seed=seed, **parse_options(SolidsOptions, options, "solids").model_dump())
    if source in NAMED and source != "egogestar":
        _no_options(source, options)
    source = _located(source)
    if ".py:" in source:
        file, _, attribute = source.rpartition(":")
        return attribute, _from_object(Path(file), attribute, parse_options(ArrayOptions, options, source).axes)
    path = Path(source)
    if path.is_dir():
        return _from_folder(path, seed, options)
    if not path.exists():
        hint = did_you_mean(source, (*NAMED, "solids"))
        fault = "no such file or folder; a source is a folder, an .npz, solids or file.py:Dataset"
        raise ValueError(f"{path}: {fault}{hint}")
    if path.suffix != ".npz":
        raise ValueError(f"{path}: expected a folder, an .npz file, solids or file.py:Dataset")
    axes = parse_options(ArrayOptions, options, source).axes
    return path.stem, from_mapping(read_npz(path), str(path), axes)


def _no_options(source: str, options: dict[str, Option]) -> None:
    if options:
        raise ValueError(f"{source}: takes no option {min(options)}")


def _from_folder(path: Path, seed: int, options: dict[str, Option]) -> tuple[str, Raw | Collection]:
    """Samples of a folder, whose layout is recognised by the files in it."""
    where, name = str(path), path.resolve().name
    if (path / MODELNET10_FILE).is_file():
        _no_options(where, options)
        return "modelnet10", load_modelnet10(path)
    if (path / EGOGESTAR_FILE).is_file():
        return "egogestar", load_egogestar(path, parse_options(FlowOptions, options, where))
    if has_idx(path):
        _no_options(where, options)
        return name, load_mnist(path)
    images = cifar_folder(path)
    if images is not None:
        _no_options(where, options)
        return (images[1] or CIFAR10).name, load_cifar(*images)
    if has_meshes(path):
        return name, load_meshes(path, parse_options(MeshOptions, options, where))
    if has_mats(path):
        return name, load_mats(path, parse_options(MatOptions, options, where))
    if has_classes(path):
        return name, load_folder(path, parse_options(ArrayOptions, options, where).axes)
    if has_videos(path):
        return name, load_videos(path, parse_options(VideoOptions, options, where), seed)
    raise ValueError(f"{path}: expected {'; '.join(LAYOUTS)}")


def _from_object(file: Path, attribute: str, axes: str | None) -> Raw:
    """Samples of a user's class or function: (x, y), (x, y, x_test, y_test), a mapping, or an object with x and y."""
    where = f"{file}:{attribute}"
    make = load_name(file, attribute)
    if isinstance(make, Mapping):
        return from_mapping(make, where, axes)
    if not callable(make):
        raise ValueError(f"{where}: {file} has no class or function {attribute}")
    with running(file, attribute):
        parameters = inspect.signature(make).parameters.values()
    required = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if required:
        raise ValueError(f"{where}: must be callable without arguments, it asks for {', '.join(required)}")
    with running(file, attribute):
        made: Any = make()
        if isinstance(made, tuple) and hasattr(made, "_asdict"):
            made = made._asdict()  # its names say more than its order
        if isinstance(made, list):
            made = tuple(made)
        if not isinstance(made, tuple | Mapping):
            known = [name for name in dir(made) if is_known(name)]
            made = {name: value for name in known if (value := getattr(made, name)) is not None}
    if isinstance(made, tuple):
        if len(made) not in (2, 4):
            raise ValueError(
                f"{where}: returned {len(made)} arrays, expected (x, y) or (x, y, x_test, y_test), or a mapping"
            )
        made = dict(zip(("x", "y", "x_test", "y_test"), made, strict=False))
    return from_mapping(made, where, axes)
