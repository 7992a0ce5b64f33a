"""The versions of the files that last: which of each format are read, and the refusal of what a newer qtt-hw wrote.

A version changes where an older reader would misread a file. What is added within one has a default, so that files
from before it are read.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MANIFEST", "MARKER", "MODEL", "PLAN", "RUN", "FileFormat"]


@dataclass(frozen=True)
class FileFormat:
    """A format of files that are kept.

    Parameters
    ----------
    title : str
        In messages, in the plural.
    versions : tuple of int
        All that are read, ascending and without gaps; the last is written.
    """

    title: str
    versions: tuple[int, ...]

    @property
    def written(self) -> int:
        """The version that is written."""
        return self.versions[-1]

    def check(self, version: object) -> int:
        """The version that a file says it has, if it is read.

        Parameters
        ----------
        version : object
            As the file has it: anything.

        Raises
        ------
        ValueError
            One line that names the version, for the caller to put the file's name in front: a newer qtt-hw wrote it,
            or it is none.
        """
        self.refuse_newer(version)
        if isinstance(version, bool) or not isinstance(version, int) or version not in self.versions:
            raise ValueError(f"version: {version!r} is not known; {self._known} are read")
        return version

    def refuse_newer(self, version: object) -> None:
        """Raise the ValueError of `check` where a newer qtt-hw wrote the file, whatever else may stand in it."""
        if isinstance(version, int) and version > self.written:
            raise ValueError(f"version {version} was written by a newer qtt-hw; this one reads {self._known}")

    @property
    def _known(self) -> str:
        word = "version" if len(self.versions) == 1 else "versions"
        *most, last = map(str, self.versions)
        return f"{self.title} of {word} {', '.join(most)}{' and ' if most else ''}{last}"


MODEL = FileFormat("model files", (1,))
#: Version 1 knew one interval and the latency, where intervals do not differ; until 2 costs were estimated otherwise;
#: until 3 the link to the host had another buffer.
PLAN = FileFormat("plans", (1, 2, 3, 4))
#: Version 1 predicted as the plans of version 1 did.
MANIFEST = FileFormat("manifests", (1, 2))
#: The folder of a training run: run.json's is its log's and its result's too; checkpoint and models also say it.
RUN = FileFormat("training runs", (1,))
#: Of a folder.
MARKER = FileFormat("markers", (1,))
