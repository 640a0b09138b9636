"""What verbs share that measure in this process: where results go, and two of them compared."""

import abc
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from diffusiontalker.cli.verb import OptionalPath, Verb, say
from diffusiontalker.config import require_new

if TYPE_CHECKING:
    from diffusiontalker.benchmarks import BenchmarkResult


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark(Verb):
    """A verb whose `measured` is told, and written where that is asked for."""

    out: OptionalPath = None
    """Folder for the result as JSON, page.md and pictures, which does not exist yet; none by default."""
    page: OptionalPath = None
    """File for the page alone, as in docs/benchmarks, which does not exist yet; none by default."""
    compare: Annotated[tuple[Path, Path] | None, arg(metavar="A.json B.json")] = None
    """Measure nothing, but print the ratios between two results."""

    def run(self) -> None:
        """Measures, prints tables, writes folder and page."""
        from diffusiontalker.benchmarks import comparison, read_result

        if self.compare is not None:
            say(comparison(*map(read_result, self.compare)))
            return
        for name, path in (("out", self.out), ("page", self.page)):
            if path is not None:
                require_new(path, remedy=f"choose another --{name}")
        keep_result(self.measured(), out=self.out, page=self.page)

    @abc.abstractmethod
    def measured(self) -> "BenchmarkResult":
        """What was asked for.

        Raises:
            BenchmarkError: for what cannot be measured.
        """


def keep_result(result: "BenchmarkResult", *, out: Path | None, page: Path | None) -> None:
    """Prints the tables; writes the folder and the page where they are wanted."""
    from diffusiontalker.benchmarks import result_text, write_page, write_result

    say(result_text(result))
    for write, path in ((write_result, out), (write_page, page)):
        if path is not None:
            write(result, path)
            say(f"wrote {path}")


def tell(line: str) -> None:
    """What is measured next, for people who watch it."""
    print(line, file=sys.stderr, flush=True)
