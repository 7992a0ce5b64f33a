"""What a run is known by: its description, and the part of one that its float models depend on."""

from __future__ import annotations

import hashlib
from typing import Any

from qtt_hw.data import Splits
from qtt_hw.graph import InputSpec
from qtt_hw.training.config import Config
from qtt_hw.tt.orders import Ordered

__all__ = ["run_description", "without_paths"]


def run_description(
    config: Config, splits: Splits, spec: InputSpec, weights_digest: str | None = None
) -> dict[str, Any]:
    """What a run is started with, and what resuming it compares.

    A `weights_digest` is that of the weights that the configuration names, which are read unless it is given.
    """
    description = {
        "name": config.name,
        "config": config.model_dump(mode="json"),
        "data": splits.name,
        "data_digest": {"train": splits.train.digest, "validation": splits.validation.digest},
        "labels": list(splits.labels),
        "sample_shape": list(spec.sample_shape),
        "format": {"bits": spec.edge.format.bits, "signed": spec.edge.format.signed, "frac": spec.edge.format.frac},
        "block": spec.block,
        "offset": spec.offset,
    }
    if spec.gain > 1:
        description["gain"] = spec.gain
    if config.model.weights is not None:
        path = config.folder / config.model.weights
        try:
            description["weights_digest"] = weights_digest or hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
    return description


def without_paths(section: dict[str, Any]) -> dict[str, Any]:
    """A model's section as far as the float model depends on it: not on paths, but on the order of modes they name."""
    named = {layer: Ordered.parse(path) for layer, path in section["paths"].items()}
    orders = {layer: (o.in_modes, o.out_modes) for layer, o in named.items() if o.in_modes}
    return section | {"paths": orders, "mode_order": "given"}
