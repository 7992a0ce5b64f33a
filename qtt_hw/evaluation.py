"""Accuracy of the golden integer model on raw samples; numpy only."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from qtt_hw.children import processors
from qtt_hw.data import Samples, Splits
from qtt_hw.data import load as load_data
from qtt_hw.graph import Graph, InputSpec, golden
from qtt_hw.graph.file import load as load_model
from qtt_hw.graph.preprocess import check_values, preprocess
from qtt_hw.progress import Progress, silent

__all__ = ["EvalResult", "accuracy", "evaluate", "evaluate_streams", "logits", "predictions", "samples_of"]

#: Samples between two reports of progress.
CHUNK = 32


class EvalResult(BaseModel):
    """What `qtt eval` prints. `accuracy_unseen` leaves out test samples that also stand in the training set.

    `accuracy_balanced` is the mean over the classes that there are samples of, each counting alike.
    """

    model: str
    data: str
    split: str
    accuracy: float
    samples: int
    weight_bytes: int
    accuracy_unseen: float | None = None
    samples_unseen: int | None = None
    accuracy_balanced: float | None = None


def logits(graph: Graph, x: NDArray[np.uint8], *, progress: Progress = silent) -> NDArray[np.int64]:
    """The integer logits, int64 [N, classes], of raw samples uint8 [N, D, H, W, C]; on every processor there is."""
    last = graph.nodes[-1].name
    found = np.empty((len(x), math.prod(graph.output.shape)), dtype=np.int64)
    starts, stopped = range(0, len(x), CHUNK), threading.Event()

    def go_on(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        if stopped.is_set():
            raise InterruptedError

    def one(start: int) -> None:
        part = slice(start, start + CHUNK)
        stages = golden.run(graph, preprocess(graph.input, x[part]), progress=go_on)
        found[part] = stages[last].reshape(len(x[part]), -1)

    # Threads, since numpy computes without holding the interpreter.
    pool = ThreadPoolExecutor(processors())
    try:
        for start, _ in zip(starts, pool.map(one, starts), strict=True):
            progress("eval", min(start + CHUNK, len(x)), len(x))
    finally:  # on an exception, of one of them or by a signal, the others end after the samples that they are at
        stopped.set()
        pool.shutdown(cancel_futures=True)
    return found


def predictions(graph: Graph, x: NDArray[np.uint8], *, progress: Progress = silent) -> NDArray[np.int64]:
    """The class of the greatest logit, the lowest index in a tie, int64 [N], of raw samples uint8 [N, D, H, W, C]."""
    return np.asarray(logits(graph, x, progress=progress).argmax(axis=1))


def accuracy(graph: Graph, samples: Samples, spec: InputSpec | None = None) -> float:
    """The share of samples that the golden model puts into their class; `spec`, if given, must be the graph's own."""
    if spec is not None and spec != graph.input:
        raise ValueError(f"{graph.name}: takes {graph.input}, the samples were given with {spec}")
    return float((predictions(graph, samples.x) == samples.y).mean())


def samples_of(graph: Graph, data: Splits | str | Path, split: str) -> Splits:
    """The data set, after a check that the split's samples and classes are the model's.

    Where the same classes are named in another order, their numbers become the model's.

    Parameters
    ----------
    graph : Graph
    data : Splits or a source that `qtt_hw.data.load` knows
        `solids` without options are generated at the model's size and number of classes.
    split : str

    Raises
    ------
    ValueError
        One line that names the data set, when its samples are of another shape or out of range, its classes are
        others, or the split is empty.
    """
    outputs = math.prod(graph.output.shape)
    if isinstance(data, Splits):
        splits, where = data, data.name
    else:
        where = str(data)
        options = {}
        if where == "solids":
            options = {"edge": graph.input.sample_shape[0], "classes": outputs}
        splits = load_data(data, **options)
    found, wanted = splits[split].sample_shape, graph.input.sample_shape
    if found != wanted:
        raise ValueError(f"{where}: its samples are {list(found)} (D, H, W, C), {graph.name} takes {list(wanted)}")
    if not len(splits[split]):
        raise ValueError(f"{where}: has no {split} samples")
    splits.check_classes(split)
    try:
        check_values(graph.input, splits[split].x)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if not graph.labels and len(splits.labels) != outputs:
        raise ValueError(f"{where}: has {len(splits.labels)} classes, {graph.name} gives {outputs} logits")
    if not graph.labels or graph.labels == splits.labels:
        return splits
    if sorted(graph.labels) != sorted(splits.labels):
        raise ValueError(
            f"{where}: its classes are {', '.join(splits.labels)}; {graph.name} knows {', '.join(graph.labels)}"
        )
    return _renumbered(splits, graph.labels)


def _renumbered(splits: Splits, labels: tuple[str, ...]) -> Splits:
    """The data set with its classes in another order."""
    index = np.array([labels.index(name) for name in splits.labels], dtype=np.int64)

    def moved(samples: Samples) -> Samples:
        return Samples(samples.x, index[samples.y])

    return replace(
        splits,
        train=moved(splits.train),
        validation=moved(splits.validation),
        test=moved(splits.test),
        labels=labels,
        notes=(*splits.notes, "its classes are numbered in the model's order"),
    )


def evaluate(
    graph: Graph | str | Path,
    splits: Splits | str | Path,
    split: str = "test",
    *,
    progress: Progress = silent,
) -> EvalResult:
    """The share of a split's samples, uint8 [N, D, H, W, C], that the golden integer model puts into their class.

    Parameters
    ----------
    graph : Graph or path of a model.qtt
    splits : Splits or a source that `qtt_hw.data.load` knows
        Its classes must be the model's.
    split : str
        train, validation or test; for the test also the accuracy without samples that stand in the training set too.
    progress : callable, optional
        Called with the number of samples done.

    Returns
    -------
    EvalResult
        With `accuracy` from 0 to 1, `samples`, `weight_bytes`, and of the test split `accuracy_unseen`.

    Raises
    ------
    ValueError
        One line that names the data set or the model file: other sizes, other classes, no samples, not a model.

    Examples
    --------
    >>> import qtt_hw
    >>> qtt_hw.evaluate("models/lenet-mnist.qtt", "mnist").accuracy  # doctest: +SKIP
    0.9943

    On your own data, here 20 images of noise, in which the network sees no more than chance does:

    >>> import numpy as np
    >>> x = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    >>> y = np.arange(20) % 10
    >>> np.savez("noise.npz", x=x, y=y, x_test=x, y_test=y, labels=list("0123456789"))
    >>> result = qtt_hw.evaluate("models/lenet-mnist.qtt", "noise.npz")
    >>> result.samples, result.accuracy, result.weight_bytes
    (20, 0.1, 218734)
    >>> qtt_hw.evaluate("models/voxtt-modelnet10.qtt", "noise.npz")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: noise.npz: its samples are [1, 28, 28, 1] (D, H, W, C), voxtt-modelnet10 takes [30, 30, 30, 1]
    """
    if not isinstance(graph, Graph):
        graph = load_model(graph)
    splits = samples_of(graph, splits, split)
    samples = splits[split]
    right = predictions(graph, samples.x, progress=progress) == samples.y
    unseen = splits.unseen if split == "test" else None
    if unseen is not None and (unseen.all() or not unseen.any()):
        unseen = None
    return EvalResult(
        model=graph.name,
        data=splits.name,
        split=split,
        accuracy=float(right.mean()),
        samples=len(samples),
        weight_bytes=graph.weight_bytes,
        accuracy_unseen=None if unseen is None else float(right[unseen].mean()),
        samples_unseen=None if unseen is None else int(unseen.sum()),
        accuracy_balanced=_over_classes(right, samples.y),
    )


def _over_classes(right: NDArray[np.bool_], y: NDArray[np.int64]) -> float:
    """The mean over classes of the share that is right, of those that there are samples of."""
    return float(np.mean([right[y == label].mean() for label in np.unique(y)]))


def _of_several(
    progress: Progress, before: int, models: int, step: str, done: float = 0, total: float = 0, text: str = ""
) -> None:
    """Tell how far a model is as how far all are that read the same samples, some of them done before it."""
    progress(step, before * total + done, models * total, text)


def evaluate_streams(
    graphs: Sequence[Graph | str | Path],
    data: Sequence[Splits | str | Path],
    split: str = "test",
    *,
    progress: Progress = silent,
) -> EvalResult:
    """Accuracy of several models together, each on its own view of the same samples: their logits are averaged.

    Logits are brought to the finest of the models' scales and added as integers, so that nothing is rounded; the
    lowest class wins a tie. QTTNet's two streams for videos, frames and optical flow, are such a pair.

    Parameters
    ----------
    graphs : sequence of Graph or path of a model.qtt
    data : sequence of Splits or source
        One a model, with the same samples in the same order.
    split : str
    progress : Progress
        Told how many samples are done, of all models together.
    """
    if len(graphs) != len(data) or not graphs:
        raise ValueError(f"{len(graphs)} models and {len(data)} data sources: give one source for each model")
    loaded = [graph if isinstance(graph, Graph) else load_model(graph) for graph in graphs]
    splits = [samples_of(graph, one, split) for graph, one in zip(loaded, data, strict=True)]
    y = splits[0][split].y
    finest = max(graph.output.format.frac for graph in loaded)
    total = np.zeros((len(y), math.prod(loaded[0].output.shape)), dtype=np.int64)
    for before, (graph, one) in enumerate(zip(loaded, splits, strict=True)):
        samples = one[split]
        if graph.output.shape != loaded[0].output.shape:
            raise ValueError(f"{graph.name}: has other classes than {loaded[0].name}")
        if one.labels != splits[0].labels or not np.array_equal(samples.y, y):
            raise ValueError(f"{one.name}: its {split} samples are not those of {splits[0].name}, class by class")
        of_all = partial(_of_several, progress, before, len(graphs))
        total += logits(graph, samples.x, progress=of_all) << (finest - graph.output.format.frac)
    right = total.argmax(axis=1) == y
    return EvalResult(
        model=" + ".join(graph.name for graph in loaded),
        data=" + ".join(one.name for one in splits),
        split=split,
        accuracy=float(right.mean()),
        samples=len(y),
        weight_bytes=sum(graph.weight_bytes for graph in loaded),
        accuracy_balanced=_over_classes(right, y),
    )
