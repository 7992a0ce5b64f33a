from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qtt_hw.graph import golden
from rtl_gen.manifest import Manifest
from rtl_gen.words import pack
from sim.scoreboard import Scoreboard


class Streams:
    """Every word that a sound design puts out for some samples."""

    def __init__(self, small_build: Any, count: int):
        build: Path = small_build()
        self.manifest = Manifest.load(build)
        self.x = small_build.samples(count)
        self.graph = small_build.graph()
        results = golden.run(self.graph, self.x, intermediates=True)
        logits = results["head"].reshape(count, 2)
        best = (logits[:, 1] > logits[:, 0]).astype(np.int64) | 1 << 16
        self.output = pack(np.concatenate([logits & 0xFFFF, best[:, None]], axis=1), 1, 17)
        self.tap = pack(results["point"], 2, 8)

    def scoreboard(self) -> Scoreboard:
        return Scoreboard(self.graph, self.manifest, self.x)


@pytest.fixture
def streams(small_build: Any) -> Streams:
    return Streams(small_build, 5)


def cycles(count: int) -> np.ndarray:
    return np.arange(100, 100 + count, dtype=np.uint64)


@pytest.mark.parametrize("step", [1, 4, 7, 15])
def test_equal_words_in_pieces_of_any_size(streams: Streams, step: int) -> None:
    board = streams.scoreboard()
    for start in range(0, 15, step):
        part = streams.output[start : start + step]
        board.output(part, cycles(15)[start : start + step])
    for start in range(0, 30, step):
        board.tap(0, streams.tap[start : start + step], cycles(30)[start : start + step])
    board.finish()
    assert board.difference is None
    assert board.ends == [102, 105, 108, 111, 114]


@pytest.mark.parametrize("word", range(15))
def test_every_output_word_counts(streams: Streams, word: int) -> None:
    board = streams.scoreboard()
    words = streams.output.copy()
    words[word, 0] ^= 1
    board.output(words, cycles(15))
    board.tap(0, streams.tap, cycles(30))
    board.finish()
    found = board.difference
    assert found is not None
    assert (found.sample, found.cycle) == (word // 3, 100 + word)
    assert found.stage == ("argmax" if word % 3 == 2 else "head")
    assert found.index == (0, 0, 0, word % 3 if word % 3 < 2 else 0)
    assert found.expected is not None and found.got == found.expected ^ 1


@pytest.mark.parametrize("word", range(30))
def test_every_tap_word_counts(streams: Streams, word: int) -> None:
    board = streams.scoreboard()
    words = streams.tap.copy()
    words[word, 0] ^= 0x8000
    board.output(streams.output, cycles(15))
    board.tap(0, words, cycles(30))
    board.finish()
    found = board.difference
    assert found is not None
    h, w = divmod(word % 6, 3)
    assert (found.stage, found.sample, found.index) == ("point", word // 6, (0, h, w, 1))
    assert found.expected is not None and found.got is not None and abs(found.got - found.expected) == 128


def test_the_first_difference_is_by_sample_then_by_stage(streams: Streams) -> None:
    board = streams.scoreboard()
    output, tap = streams.output.copy(), streams.tap.copy()
    output[[3, 9], 0] ^= 1  # samples 1 and 3
    tap[[11, 8], 0] ^= 1  # sample 1
    board.output(output, cycles(15))
    board.tap(0, tap, cycles(30))
    found = board.difference
    assert found is not None
    assert (found.stage, found.sample, found.index) == ("point", 1, (0, 0, 2, 0))


def test_a_missing_word_is_a_difference(streams: Streams) -> None:
    board = streams.scoreboard()
    board.output(streams.output[:-1], cycles(14))
    board.tap(0, streams.tap, cycles(30))
    assert board.difference is None
    board.finish()
    found = board.difference
    assert found is not None
    assert (found.stage, found.sample, found.got, found.cycle) == ("argmax", 4, None, None)
    assert str(found).endswith("nothing came")


def test_a_misplaced_last_flag_is_a_difference(streams: Streams) -> None:
    board = streams.scoreboard()
    words = streams.output.copy()
    words[1, 0] ^= 1 << 16
    board.output(words, cycles(15))
    found = board.difference
    assert found is not None
    assert (found.stage, found.sample, found.expected, found.got) == ("last", 0, 0, 1)


def test_the_output_s_parts_are_told_from_stages_of_their_names(streams: Streams) -> None:
    nodes = streams.graph.nodes
    graph = replace(
        streams.graph, nodes=(replace(nodes[0], name="last"), replace(nodes[1], name="argmax", inputs=("last",)))
    )
    tap = streams.manifest.taps[0].model_copy(update={"stage": "last"})
    manifest = streams.manifest.model_copy(update={"taps": (tap,)})
    for word, bits, stage in ((11, 1, "the output's argmax"), (10, 1, "argmax"), (7, 1 << 16, "the output's last")):
        board = Scoreboard(graph, manifest, streams.x)
        words = streams.output.copy()
        words[word, 0] ^= bits
        board.output(words, cycles(15))
        assert board.difference is not None and board.difference.stage == stage


def test_a_manifest_of_another_network_is_refused(streams: Streams) -> None:
    tap = streams.manifest.taps[0]
    for changed, message in (
        ({"output": streams.manifest.output.model_copy(update={"words": 4})}, "output has 4 words, 2 logits"),
        ({"taps": (tap.model_copy(update={"stage": "other"}),)}, "taps stage 'other', which model.qtt does not have"),
        ({"taps": (tap.model_copy(update={"words": 5}),)}, "tap point: 5 words of 2 lanes for 12 integers"),
    ):
        manifest = streams.manifest.model_copy(update=changed)
        with pytest.raises(ValueError, match=message):
            Scoreboard(streams.graph, manifest, streams.x)
