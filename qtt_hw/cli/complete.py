"""What a shell completes behind a verb's options and arguments: names, and files of the kinds that are taken there.

Where nothing here fits, shells complete files by themselves. Nothing heavy is imported: somebody waits with a key down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from qtt_hw.options import ACCELERATORS, NETWORKS, SCALES, SOURCES, SPLITS

__all__ = [
    "accelerators",
    "boards",
    "configurations",
    "data",
    "devices",
    "models",
    "networks",
    "planned",
    "scales",
    "splits",
]

#: Of a shell's completion: what could stand in the place of an incomplete word.
Completer = Callable[[str], list[str]]


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str, *suffixes: str) -> list[str]:
    """The files of these kinds whose paths begin so."""
    folder, _, begun = incomplete.rpartition("/")
    within = Path(f"{folder}/" if "/" in incomplete else ".").expanduser()
    try:
        names = sorted(path.name for path in within.iterdir() if path.suffix in suffixes)
    except OSError:
        return []
    return [f"{incomplete[: len(incomplete) - len(begun)]}{name}" for name in _beginning(begun, names)]


def _named(*names: str) -> Completer:
    return lambda incomplete: _beginning(incomplete, names)


accelerators, scales, splits = _named(*ACCELERATORS), _named(*SCALES), _named(*SPLITS)


def devices(incomplete: str) -> list[str]:
    """FPGAs of every family."""
    from rtl_gen.families import DEVICES

    return _beginning(incomplete, DEVICES)


def boards(incomplete: str) -> list[str]:
    """Boards, and files that may define one."""
    from boards import BOARDS

    return _beginning(incomplete, BOARDS) + _files(incomplete, ".py")


def data(incomplete: str) -> list[str]:
    """Data sources."""
    return _beginning(incomplete, (*SOURCES, "solids")) + _files(incomplete, ".npz", ".py")


def models(incomplete: str) -> list[str]:
    """Model files."""
    return _files(incomplete, ".qtt")


def configurations(incomplete: str) -> list[str]:
    """Configurations of trainings."""
    return _files(incomplete, ".toml")


def networks(incomplete: str) -> list[str]:
    """Networks before training: the zoo's, configurations, and files that may define one."""
    return _beginning(incomplete, NETWORKS) + _files(incomplete, ".toml", ".py")


def planned(incomplete: str) -> list[str]:
    """What can be planned: networks, and model files."""
    return _files(incomplete, ".qtt") + networks(incomplete)
