"""A run's folder: what it was started with, its log, its checkpoint and the model that each phase ended with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from qtt_hw import versions
from qtt_hw.errors import named
from qtt_hw.files import append_lines, write_file
from qtt_hw.folders import RUN, claim
from qtt_hw.locks import locked
from qtt_hw.reading import parse_json
from qtt_hw.training.checkpoint import load_tensors, parse_tensors, save_tensors
from qtt_hw.training.config import config_from
from qtt_hw.training.processes import ALONE, Processes

__all__ = ["RunStore"]


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class RunStore:
    """The folder RUN.

    run.json             configuration, data digest, input format and labels: written once, compared on resuming
    checkpoint.safetensors   where training stands
    log.jsonl            one JSON object per epoch
    PHASE.safetensors    the model of a phase, by the phase's name
    curves.png           the log as a plot, at the end, where matplotlib is installed
    result.json          written at the end

    Of several processes that train together only the first reads and writes; the others are told. Others are kept out
    of the folder as long as it is `held`.
    """

    def __init__(self, folder: Path, processes: Processes = ALONE) -> None:
        self.folder, self.processes = folder, processes

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    @property
    def log(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def curves(self) -> Path:
        return self.folder / "curves.png"

    @property
    def result(self) -> Path:
        return self.folder / "result.json"

    @property
    def lock(self) -> Path:
        return self.folder / ".run.lock"

    def model(self, phase: str) -> Path:
        return self.folder / f"{phase}.safetensors"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep others from training in it; of a finished run, in which nothing is written, nobody.

        Raises
        ------
        ValueError
            When the folder holds something else.
        Busy
            Saying who trains in it.
        """

        def hold() -> bytes:
            claim(self.folder, RUN, "is not empty and holds no run; use a new folder")
            if not self.result.exists():
                stack.enter_context(locked(self.lock, self.folder))
            return b""

        with ExitStack() as stack:
            self.processes.from_first(hold)
            yield

    def begin(self, description: dict[str, Any], remarks: dict[str, Any]) -> bool:
        """Start the held folder, or check that it was started likewise; true when there is a checkpoint to go on from.

        `remarks` are written beside the description and not compared.
        """
        description = json.loads(json.dumps({"version": versions.RUN.written, **description}))
        if self.processes.several:
            self.processes.agree(json.dumps(description), f"what {self.folder} is to be trained on, or how,")
        return self.processes.from_first(lambda: b"1" if self._begin(description, remarks) else b"") == b"1"

    def _begin(self, description: dict[str, Any], remarks: dict[str, Any]) -> bool:
        path = self.folder / "run.json"
        if path.exists():
            found = {key: value for key, value in self.description().items() if key not in remarks}
            difference = _first_difference(found, description)
            if difference is not None:
                raise ValueError(f"{self.folder}: was started with another {difference}; use a new folder")
        else:
            content = {**description, **remarks}
            write_file(path, json.dumps({**content, "digest": _digest(content)}, indent=1) + "\n")
        return self.checkpoint.exists()

    def description(self) -> dict[str, Any]:
        """The content of run.json."""
        path = self.folder / "run.json"
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{self.folder}: holds no run.json; expected a folder that qtt train wrote") from None
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
        if isinstance(content, dict):
            with named(path):
                versions.RUN.refuse_newer(content.get("version"))
            # Older ones have none.
            if content.pop("digest", None) not in (None, _digest(content)):
                raise ValueError(f"{path}: its content does not match its digest; the file was changed or damaged")
        if not isinstance(content, dict) or "config" not in content:
            raise ValueError(f"{path}: is not what qtt train writes: it has no 'config'")
        with named(path):
            versions.RUN.check(content.get("version"))
        # What a later program added to the configuration has its default in an older run.
        return content | {"config": config_from(content["config"], str(path)).model_dump(mode="json")}

    def finished(self) -> str | None:
        """The content of result.json, if there is one."""
        content = self.processes.from_first(lambda: self.result.read_bytes() if self.result.exists() else b"")
        return content.decode() or None

    def write_result(self, text: str) -> None:
        if self.processes.first:
            write_file(self.result, text)

    def append_log(self, row: dict[str, Any]) -> None:
        if not self.processes.first:
            return
        append_lines(self.log, json.dumps(row))

    def rows(self) -> list[dict[str, Any]]:
        """The whole lines of the log, in their order; none where there is no log."""
        content = self.log.read_bytes() if self.log.exists() else b""
        with named(self.log):
            return [parse_json(line.decode()) for line in content.split(b"\n")[:-1]]

    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def cut_log(self, size: int) -> None:
        """Drop lines of epochs that end after the checkpoint: they will be written again."""
        if self.processes.first and self.log_size() > size:
            with self.log.open("r+b") as stream:
                stream.truncate(size)

    def save_model(self, phase: str, state: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        self._save(self.model(phase), state, metadata)

    def load_model(self, phase: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self._load(self.model(phase))

    def save_checkpoint(self, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        self._save(self.checkpoint, tensors, {**metadata, "log_size": self.log_size()})

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self._load(self.checkpoint)

    def _save(self, path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        if self.processes.first:
            save_tensors(path, tensors, metadata)

    def _load(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        if not self.processes.several:
            return load_tensors(path)
        return parse_tensors(self.processes.from_first(path.read_bytes), str(path))


def _first_difference(found: Any, expected: Any, name: str = "") -> str | None:
    """The first key whose value differs, with both values; long values by a hash."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            difference = _first_difference(found.get(key), expected.get(key), f"{name}.{key}" if name else key)
            if difference is not None:
                return difference
        return None
    return None if found == expected else f"{name} ({_short(found)}, now {_short(expected)})"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else hashlib.sha256(text.encode()).hexdigest()[:8]
