"""The command line `qtt`: thin shells over the Python functions of the same names."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from qtt_hw.process import run_command

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 on success, 1 with one line on stderr on a failure, 2 on a usage error.

    Without arguments it is the whole process's work, with sys.argv's. `--debug`, before the verb or behind it,
    shows the traceback of what fails, from the verbs' imports on.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = given.index("--") if "--" in given else len(given)
    debug = "--debug" in given[:words]
    given[:words] = [each for each in given[:words] if each != "--debug"]

    def work() -> int:
        # Only here, where a signal already ends in one line: the verbs' own imports take a while.
        from qtt_hw.cli.verbs import run_verb

        return run_verb(given)

    if arguments is None:
        # A thread for each of several samples, as `qtt eval` has, does better than several for a product, which wait
        # busily for each other. Before numpy is there; torch has threads of its own.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        gc.set_threshold(50_000)  # a verb keeps most of what it makes: looking for garbage often costs a twentieth
    return run_command("qtt", work, whole=arguments is None, debug=debug, option="--debug")
