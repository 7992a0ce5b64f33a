"""A netlist placed and routed from several seeds side by side, and the best of them kept.

The placer begins at random, and the clock that it reaches differs between seeds: one placement says what its seed came
to, several what a design is good for.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, computed_field

from boards.place import LOG, Placement, Placer, TooLarge, place, prepare
from boards.synthesis import NETLIST
from qtt_hw.children import Children, processors
from qtt_hw.files import scratch_folder
from qtt_hw.progress import Progress, silent
from rtl_gen.families import Device, family_of

__all__ = ["MOST_SEEDS", "SEEDS", "Placements", "SeedResult", "SeedResults", "check_seeds", "place_seeds"]

#: Seeds are below it, as nextpnr takes them; and so many can be tried at once.
SEEDS, MOST_SEEDS = 1 << 31, 1000


class SeedResult(BaseModel):
    """What one seed came to.

    Attributes
    ----------
    fmax_mhz : float, optional
        Of the slowest clock; None where nothing was placed, or no path lies between registers.
    failure : str, optional
        Why nothing was placed.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    fmax_mhz: float | None
    failure: str | None = None


class SeedResults(BaseModel):
    """What every seed came to, in their order, and which one was kept.

    Attributes
    ----------
    tried : tuple of SeedResult
    kept : int
        The seed with the highest clock, the lowest of several.
    median_mhz, least_mhz, most_mhz : float, optional
        Of the clocks reached; None where there is none.
    """

    model_config = ConfigDict(frozen=True)

    tried: tuple[SeedResult, ...]
    kept: int

    @property
    def reached(self) -> tuple[float, ...]:
        return tuple(each.fmax_mhz for each in self.tried if each.fmax_mhz is not None)

    @property
    def failures(self) -> tuple[SeedResult, ...]:
        return tuple(each for each in self.tried if each.failure is not None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def median_mhz(self) -> float | None:
        return round(statistics.median(self.reached), 2) if self.reached else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def least_mhz(self) -> float | None:
        return min(self.reached, default=None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def most_mhz(self) -> float | None:
        return max(self.reached, default=None)


@dataclass(frozen=True)
class Placements:
    """What nextpnr reports of each seed.

    Parameters
    ----------
    placed : mapping of int to Placement
        Of those that could be placed and routed, one at least.
    failures : mapping of int to str
        Why the others could not.
    """

    placed: Mapping[int, Placement]
    failures: Mapping[int, str] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """The seed whose slowest clock is highest, the lowest of several."""
        return max(sorted(self.placed), key=lambda seed: _clock(self.placed[seed]))

    @property
    def best(self) -> Placement:
        return self.placed[self.kept]

    @property
    def results(self) -> SeedResults:
        tried = [
            SeedResult(
                seed=seed,
                fmax_mhz=self.placed[seed].slowest_mhz if seed in self.placed else None,
                failure=self.failures.get(seed),
            )
            for seed in sorted([*self.placed, *self.failures])
        ]
        return SeedResults(tried=tuple(tried), kept=self.kept)


def _clock(placed: Placement) -> float:
    """What placements are compared by: MHz of the slowest clock; without one they are all alike."""
    return placed.slowest_mhz or 0.0


def place_seeds(
    work: Path,
    device: Device,
    *,
    first: int = 1,
    count: int = 1,
    package: str = "CABGA381",
    speed: int = 6,
    frequency_mhz: float,
    placer: Placer = "heap",
    constraints: Path | None = None,
    processes: int | None = None,
    progress: Progress = silent,
) -> Placements:
    """Place and route work/netlist.json from several seeds; what `place` leaves of the best stands in work.

    Parameters
    ----------
    work : Path
        Folder with the netlist. Seeds are placed in folders of their own in it, which are gone in the end.
    device : Device
    first, count : int
        The seeds are first to first + count - 1.
    package, speed, frequency_mhz, placer, constraints
        As of `place`.
    processes : int, optional
        Seeds that are placed at a time; by default as many as this process may use processors. They change nothing in
        what comes out.
    progress : Progress
        Told what nextpnr is at and, of several seeds, how many are done.

    Raises
    ------
    ValueError
        When the design does not fit, by how much; when no seed can be placed and routed, for the first one's reason,
        with its log in work; when the tool is missing.
    """
    check_seeds(first, count)
    if count > 1:
        prepare(family_of(device), work)
    seeds, ended, children = range(first, first + count), list[int](), Children()

    def one(seed: int) -> Placement | ValueError:
        def tell(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
            progress(step, len(ended), count, f"seed {seed}: {text}")

        folder = scratch / str(seed)
        folder.mkdir()
        try:
            return place(
                folder,
                device,
                package=package,
                speed=speed,
                frequency_mhz=frequency_mhz,
                seed=seed,
                placer=placer,
                netlist=work / NETLIST,
                constraints=constraints,
                start=children.running,
                progress=progress if count == 1 else tell,
            )
        except TooLarge:  # from whatever seed
            raise
        except ValueError as error:
            return error
        finally:
            ended.append(seed)

    placed, failures = dict[int, Placement](), dict[int, ValueError]()
    with scratch_folder(work / "seeds") as scratch:
        pool = ThreadPoolExecutor(min(processes or processors(), count))
        try:
            for seed, found in zip(seeds, pool.map(one, seeds), strict=True):
                if isinstance(found, ValueError):
                    failures[seed] = found
                else:
                    placed[seed] = found
                keep = Placements(placed).kept if placed else first
                for other in {*placed, *failures} - {keep}:  # large files, of which there may be many
                    shutil.rmtree(scratch / str(other), ignore_errors=True)
            if not placed:
                raise failures[first]
        except ValueError:
            _leave(scratch / str(first), work, LOG)
            raise
        finally:  # on an exception, or by a signal, the others end at once
            children.close()
            pool.shutdown(cancel_futures=True)
        result = Placements(placed, {seed: str(error) for seed, error in failures.items()})
        _leave(scratch / str(result.kept), work, "*")
    return result


def check_seeds(first: int, count: int) -> None:
    """Raise ValueError unless these are seeds."""
    for name, value, least, most in (("seed", first, 0, SEEDS - 1), ("seeds", count, 1, MOST_SEEDS)):
        if not least <= value <= most:
            raise ValueError(f"{name} must be {least} to {most}, got {value}")
    if first + count > SEEDS:
        raise ValueError(f"seeds must be at most {SEEDS - 1}, got {count} from {first} on")


def _leave(folder: Path, work: Path, pattern: str) -> None:
    """Move files of a folder into the work folder, in place of what is called so there."""
    for path in folder.glob(pattern):
        path.replace(work / path.name)
