"""What a name that is not known may have been meant to be: one hint for options, keys, devices, layers, files."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean", "no_layers", "no_network", "unknown"]

#: How much of two names must be alike, from 0 to 1; in a name of three letters, two.
ALIKE = 0.6


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean X?" of the known name that is nearest, upper and lower case alike; nothing where none is."""
    import difflib  # only for a refusal: a command is not ready for a signal before its imports

    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), names, 1, ALIKE)
    return f"; did you mean {names[near[0]]}?" if near else ""


def unknown(what: str, name: str, known: Iterable[str], more: str = "") -> ValueError:
    """The refusal of a name: what there is instead, and which of it comes nearest.

    Parameters
    ----------
    what : str
        What it is to name, such as "device".
    name : str
    known : iterable of str
    more : str
        What else could be given, behind the known names.
    """
    known = list(known)
    return ValueError(f"{what} {name!r} is not known; known are {', '.join(known)}{more}{did_you_mean(name, known)}")


def no_network(text: str, networks: Iterable[str], *kinds: str) -> ValueError:
    """The refusal of what names no network: the kinds of names that do, beside `file.py:Net` and the zoo's.

    Examples
    --------
    >>> no_network("net.py", ["voxtt"], "a .toml")
    ValueError('net.py: name what in it makes the network too, as net.py:Net')
    """
    if text.endswith(".py"):
        return ValueError(f"{text}: name what in it makes the network too, as {text}:Net")
    known, others = list(networks), "".join(f"{kind} nor " for kind in kinds)
    zoo = f"in the zoo, {', '.join(known)}{did_you_mean(text, known)}"
    return ValueError(f"{text}: neither {others}file.py:Net nor {zoo}")


def no_layers(where: str, names: Iterable[str], layers: Iterable[str]) -> list[str]:
    """A fault for each name that is no layer of the network: where it stands, and the layer that comes nearest."""
    known = [layer for layer in layers if layer]
    faults = [name for name in names if name not in known]
    return [f"{where}: the network has no layer {name!r}{did_you_mean(name, known)}" for name in faults]
