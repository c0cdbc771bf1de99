"""The exception tree: every failure a user can meet, what it means for the exit code, how it reads.

    SafelightError                 anything Safelight raises on purpose
    ├── InputError                 what the user gave is wrong; exit code 2
    │   ├── DocumentError          a file is not a workflow we can read
    │   ├── GraphError             the graph is well-formed text but cannot run; carries all problems
    │   ├── PathError              a name leads outside its folder, or to nothing
    │   ├── MediaError             a picture cannot be decoded, or is larger than the limits
    │   └── WeightError            a weight file is damaged, unsafe, or of no known family
    ├── NodeFailure                a node raised while running; exit code 1
    ├── OutputError                a result could not be written (disk full, no permission); exit code 1
    └── Cancelled                  somebody asked to stop; exit code 130

Each error has a stable ``code`` for programs, one sentence with the values for people, and a ``hint`` that says
what to do. ``expected`` and ``got`` are kept apart so that an editor can show them in place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """State one thing that is wrong, and where. Rendered the same in the terminal, over HTTP and in the editor."""

    code: str
    message: str
    node_id: str | None = None
    node_title: str | None = None
    input: str | None = None
    expected: str | None = None
    got: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        where = ""
        if self.node_id is not None:
            where = f"node {self.node_id}" + (f' "{self.node_title}"' if self.node_title else "")
            where += f', input "{self.input}"' if self.input else ""
            where += ": "
        facts = [f"expected {self.expected}"] if self.expected else []
        facts += [f"got {self.got}"] if self.got else []
        text = f"{self.code}  {where}{self.message}" + (f" ({', '.join(facts)})" if facts else "")
        return text + (f"\n  hint: {self.hint}" if self.hint else "")


class SafelightError(Exception):
    """Carry a problem to whoever shows it. ``code`` is stable; ``message`` is one sentence without the node."""

    code = "E-SAFELIGHT"
    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        input: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.problem = Problem(code or self.code, message, None, None, input, expected, got, hint)

    def at(self, node_id: str, node_title: str | None) -> SafelightError:
        """Return this error with the node named; called once, by the executor, which knows where it happened."""
        self.problem = dataclasses.replace(self.problem, node_id=node_id, node_title=node_title)
        return self

    @property
    def problems(self) -> tuple[Problem, ...]:
        """List what went wrong; one entry for all but `GraphError`."""
        return (self.problem,)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class InputError(SafelightError):
    """Say that a value, file or option given by the user is wrong."""

    code = "E-INPUT"
    exit_code = 2


class DocumentError(InputError):
    """Say that a file holds no workflow that can be read (bad JSON, too deep, NaN, not a known form)."""

    code = "E-DOCUMENT"


class GraphError(InputError):
    """Carry every problem that validation found, in graph order."""

    code = "E-GRAPH"

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"the workflow has {count} problem{'' if count == 1 else 's'}")
        self._problems = tuple(problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._problems


class PathError(InputError):
    """Say that a file name leads outside its folder or that nothing is there."""

    code = "E-PATH"


class MediaError(InputError):
    """Say that a file is not a picture, or is larger than the limits allow."""

    code = "E-MEDIA"


class WeightError(InputError):
    """Say that a weight file is damaged, holds code, or is of no known family."""

    code = "E-WEIGHT"


class NodeFailure(SafelightError):
    """Say that a node raised while running; the original exception is ``__cause__``."""

    code = "E-NODE"


class OutputError(SafelightError):
    """Say that a result could not be written; nothing half-written is left behind."""

    code = "E-OUTPUT"


class Cancelled(SafelightError):
    """Say that the run was asked to stop; raised inside a node at the next step boundary."""

    code = "E-CANCELLED"
    exit_code = 130

    def __init__(self, message: str = "the run was cancelled") -> None:
        super().__init__(message)
