"""One name for every data source: a named set, an npz, class folders, generated solids or a user's file.py:Dataset."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from qtt_hw.data.arrays import Raw, from_mapping, load_folder, load_npz
from qtt_hw.data.modelnet10 import FILE as MODELNET10_FILE
from qtt_hw.data.modelnet10 import load_modelnet10
from qtt_hw.data.samples import Splits, holdout
from qtt_hw.data.solids import load_solids

__all__ = ["import_file", "load"]


def load(source: str | Path, *, validation: float = 0.1, test: float = 0.1, seed: int = 0, **options: int) -> Splits:
    """Training, validation and test samples, uint8 [N, D, H, W, C] with int64 labels.

    Parameters
    ----------
    source : str or path
        `modelnet10` (in the folder $QTT_DATA names), a folder with modelnet10_vox30.npz, a folder of class folders of
        .npy volumes (under train/ and test/ or not), an npz file with x and y (and x_test, y_test, labels), `solids`
        or `solids:EDGE`, or `file.py:Dataset`, a class or function without arguments.
    validation : float
        Share of every class of the training set that is held out, chosen by a hash of each sample's bytes.
    test : float
        Likewise, and only where the source brings no test set of its own.
    seed : int
        Of the two choices, and of the generated solids.
    **options : int
        Of `solids`: edge, classes, per_class.

    Raises
    ------
    ValueError
        One line that names the source and what was expected of it.
    """
    name, raw = _read(str(source), seed, options)
    train, own_test, labels = raw
    try:
        if own_test is None:
            train, own_test = holdout(train, test, seed, "test")
        train, held = holdout(train, validation, seed)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return Splits(train, held, own_test, labels, name)


def _read(source: str, seed: int, options: dict[str, int]) -> tuple[str, Raw]:
    kind, _, argument = source.partition(":")
    if kind == "solids":
        if argument:
            if not argument.isdecimal():
                raise ValueError(f"{source}: expected solids or solids:EDGE with EDGE in voxels")
            options = {**options, "edge": int(argument)}
        unknown = set(options) - {"edge", "classes", "per_class"}
        if unknown:
            raise ValueError(f"solids: has no option {min(unknown)}, but edge, classes and per_class")
        return "solids", load_solids(seed=seed, **options)
    if options:
        raise ValueError(f"{source}: takes no option {min(options)}; only solids does")
    if source == "modelnet10":
        root = os.environ.get("QTT_DATA")
        if not root:
            raise ValueError("modelnet10: set QTT_DATA to the folder that holds modelnet10/, or name the folder itself")
        source = str(Path(root) / "modelnet10")
    if ".py:" in source:
        file, _, attribute = source.rpartition(":")
        return attribute, _from_object(Path(file), attribute)
    path = Path(source)
    if path.is_dir():
        if (path / MODELNET10_FILE).is_file():
            return "modelnet10", load_modelnet10(path)
        raw = load_folder(path)
        if raw is None:
            raise ValueError(f"{path}: expected {MODELNET10_FILE}, or class folders that hold .npy volumes")
        return path.resolve().name, raw
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder; a source is a folder, an .npz, solids or file.py:Dataset")
    if path.suffix != ".npz":
        raise ValueError(f"{path}: expected a folder, an .npz file, solids or file.py:Dataset")
    return path.stem, load_npz(path)


def import_file(path: Path) -> ModuleType:
    """The module of a Python file, executed anew, with its own folder importable while it runs."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _from_object(file: Path, attribute: str) -> Raw:
    """Samples of a user's class or function: (x, y), (x, y, x_test, y_test), a mapping, or an object with x and y."""
    where = f"{file}:{attribute}"
    module = import_file(file)
    if not callable(getattr(module, attribute, None)):
        raise ValueError(f"{where}: {file} has no class or function {attribute}")
    make = getattr(module, attribute)
    required = [
        p.name
        for p in inspect.signature(make).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if required:
        raise ValueError(f"{where}: must be callable without arguments, it asks for {', '.join(required)}")
    made: Any = make()
    keys = ("x", "y", "x_test", "y_test", "labels")
    if isinstance(made, tuple):
        if len(made) not in (2, 4):
            raise ValueError(f"{where}: returned {len(made)} arrays, expected (x, y) or (x, y, x_test, y_test)")
        return from_mapping(dict(zip(keys, made, strict=False)), where)
    if isinstance(made, Mapping):
        return from_mapping(made, where)
    return from_mapping({key: getattr(made, key) for key in keys if getattr(made, key, None) is not None}, where)
