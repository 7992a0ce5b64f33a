"""freeze: the integer Graph of a prepared model."""

from __future__ import annotations

from collections.abc import Sequence

from qtt_hw.graph import Graph, InputSpec
from qtt_hw.lower.execute import formats
from qtt_hw.lower.prepared import PreparedModel

__all__ = ["freeze"]


def freeze(prepared: PreparedModel, spec: InputSpec, labels: Sequence[str] = (), name: str = "model") -> Graph:
    """The integer Graph whose golden run equals prepared.eval() at every stage, to the last bit.

    Parameters
    ----------
    prepared : PreparedModel
        Calibrated; its current scales, weights and statistics are taken.
    spec : InputSpec
        How samples become inputs; its edge must be the model's input.
    labels : sequence of str
        Class names by index, or none.
    name : str
        Of the graph.

    Returns
    -------
    Graph

    Raises
    ------
    ValueError
        When the model is not calibrated, its activations are float, the input spec is another one, or a stage's
        integers do not fit.

    References
    ----------
    Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", doi
    10.1109/CVPR.2018.00286, for integer inference that is trained with fake quantisation.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from torch import nn
    >>> import qtt_hw
    >>> raw = np.random.default_rng(0).random((64, 4, 4, 4)) < 0.5
    >>> spec = qtt_hw.input_spec((4, 4, 4, 1))
    >>> x = torch.from_numpy(qtt_hw.preprocess(spec, raw)).float().permute(0, 4, 1, 2, 3)
    >>> net = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 2))
    >>> prepared = qtt_hw.prepare(net, x[:1])
    >>> prepared.calibrate([x])
    >>> prepared = prepared.eval()
    >>> graph = qtt_hw.freeze(prepared, spec, ["thin", "thick"], "own")
    >>> [node.name for node in graph.nodes]
    ['0', '3']

    Equal, logit by logit:

    >>> integers = qtt_hw.run(graph, qtt_hw.preprocess(spec, raw))["3"]
    >>> values = torch.from_numpy(integers).flatten(1) * 2.0**-graph.output.format.frac
    >>> bool((prepared(x) == values).all())
    True
    >>> qtt_hw.freeze(qtt_hw.prepare(net, x[:1]), spec, name="own")
    Traceback (most recent call last):
        ...
    ValueError: own: calibrate the prepared model before freezing it
    """
    if not isinstance(prepared, PreparedModel):
        raise ValueError(
            f"{name}: what is frozen is a prepared model, got a {type(prepared).__name__}; prepare it first"
        )
    if not isinstance(spec, InputSpec):
        raise ValueError(f"{name}: how samples become inputs is said by an InputSpec, got a {type(spec).__name__}")
    _check_labels(labels, name)
    if not prepared.calibrated:
        raise ValueError(f"{name}: calibrate the prepared model before freezing it")
    if prepared.floating:
        raise ValueError(f'{name}: activations = "float" cannot be frozen to integers; use activations = "quantized"')
    if spec.edge != prepared.input:
        raise ValueError(
            f"{name}: samples are preprocessed to {list(spec.edge.shape)} as {spec.edge.format}, "
            f"the model takes {list(prepared.input.shape)} as {prepared.input.format}"
        )
    stages = prepared.stage_list
    edge_formats = formats(stages, prepared.input.format)
    nodes = tuple(stage.node(*(edge_formats[name] for name in stage.inputs)) for stage in stages)
    graph = Graph(name, spec, nodes, tuple(labels))
    _ = graph.edges  # every stage's own checks, accumulator widths included
    return graph


def _check_labels(labels: object, name: str) -> None:
    """Raise ValueError unless labels are texts, each another."""
    if isinstance(labels, str) or not isinstance(labels, Sequence) or not all(isinstance(x, str) for x in labels):
        raise ValueError(f"{name}: labels are a sequence of class names, () for none, got {labels!r}")
    twice = next((label for i, label in enumerate(labels) if label in labels[:i]), None)
    if twice is not None:
        raise ValueError(f"{name}: label {twice!r} is given to two classes")
