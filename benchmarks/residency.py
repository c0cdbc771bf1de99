"""Compare ways of keeping weights on a small card, on a virtual clock: nothing here has run on a card.

    python benchmarks/residency.py            all tables
    python benchmarks/residency.py --check    also exit 1 unless our row is best or equal in every column

Blocks and times come from `residency_profiles.json` (made by `residency_profiles.py`): real networks on fake tensors,
on an assumed card with 25 TFLOP/s and 250 GB/s, of the class of an RTX 3060 or 4060. Usable memory is the card's less
0.55 GiB. Weights wait in RAM. A cold start is included.

A  the rules of a widespread engine as of 2025: formulas for activations, smallest model evicted first, 1.1 times the
   model's size freed, the rest of a model copied inside every call, weights written back; no overlap
B  least recently used, whole models, no overlap              C  the same, part by part
D  next use, whole models, no overlap
E  everything streamed, 2 blocks ahead                        F  least recently used blocks, 2 blocks ahead
G  recency between models, a fixed beginning inside, 2 ahead  H  next use, loads as far ahead as anything goes
I  next use with bypass, 0.5 GiB for loads under way          J  ours, were activations packed perfectly
K  ours: room for loads chosen by simulation, activations as torch's expandable segments hold them
A to I set aside what torch's native allocator takes (A: what its formulas say). Cells: GB to the device (+ GB back),
seconds of waiting (% of computing) at 12 GB/s, seconds at 24 GB/s.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residency_policies import block_lru, by_next_use, greedy, without_overlap

from engine.memory.blocks import Block
from engine.memory.keeping import keep_by_next_use, keep_by_recency
from engine.memory.phases import Access, Link, Phase, lay_out
from engine.memory.planning import EQUALLY_FAST, ResidencyPlan, make_plan, whole_plan
from engine.memory.queue_order import Job, batched, grouped, submitted
from engine.memory.simulation import schedule_loads, simulate

GIB, GB = 1 << 30, 1e9
MARGIN = GIB // 5
LINKS = (12e9, 24e9)
STAGING = GIB // 2
SAME_BYTES = 1.01
PROFILES: dict[str, Any] = json.loads(Path(__file__).with_name("residency_profiles.json").read_text())["profiles"]


@dataclass(frozen=True)
class Work:
    """One phase before it is known how activations are counted: profiles of a sweep and the model keys of each."""

    profiles: tuple[str, ...]
    models: tuple[str, ...]
    repeats: int = 1
    formula: int = 0
    """What row A's formula sets aside."""

    def phase(self, count: str) -> Phase:
        """Return it with activations counted as `live`, `native`, `expandable` or `formula`."""
        accesses = [
            Access(Block(model, index, nbytes), seconds)
            for name, model in zip(self.profiles, self.models, strict=True)
            for index, nbytes, seconds in PROFILES[name]["blocks"]
        ]
        most = self.formula if count == "formula" else max(PROFILES[name][count] for name in self.profiles) + MARGIN
        return Phase(self.profiles[-1], tuple(accesses), most, self.repeats)


FLOOR = int(1.2 * GIB)


def unet_formula(latent_pixels: int) -> int:
    """Return row A's reserve for a call of a U-Net: 0.01 MiB for each latent pixel and byte, times 0.8, or a floor."""
    return max(FLOOR, int(latent_pixels * 2 * 0.01 * 0.8 * (1 << 20)) + int(0.4 * GIB))


DECODE = Work(("vae decode",), ("vae",), formula=2178 * 1024 * 1024 * 2)


def text(key: str = "") -> list[Work]:
    return [Work(("clip l", "clip g"), ("clip l" + key, "clip g" + key), 2, FLOOR)]


def first_workload() -> list[list[Work]]:
    """W1: SDXL with a ControlNet, refiner, decoding, ESRGAN, encoding, a second pass at 1536, decoding in tiles."""
    job = [
        *text(),
        Work(("control b2", "sdxl steered b2"), ("control", "sdxl"), 20, unet_formula(2 * 128 * 128)),
        Work(("refiner b2",), ("refiner",), 10, unet_formula(2 * 128 * 128)),
        DECODE,
        Work(("esrgan tile",), ("esrgan",), 4, int(3.2 * GIB)),
        Work(("vae encode hires",), ("vae encoder",), 1, int(4.5 * GIB)),
        Work(("sdxl hires b2",), ("sdxl",), 10, unet_formula(2 * 192 * 192)),
        Work(("vae decode",), ("vae",), 4, DECODE.formula),
    ]
    return [job] * 6


def alternating(prompts: int, profile: str, steps: int) -> list[list[Work]]:
    """W2: prompts that alternate between two checkpoints of SDXL."""
    jobs = []
    for number in range(prompts):
        key = " ab"[number % 2 + 1]
        sample = Work((profile,), ("sdxl" + key,), steps, unet_formula((2 if "b2" in profile else 1) * 128 * 128))
        jobs.append([*text(key), sample, Work(DECODE.profiles, ("vae" + key,), 1, DECODE.formula)])
    return jobs


def flux(kind: str, text_kind: str, prompts: int, steps: int) -> list[list[Work]]:
    """FLUX.1 at 1024 with its T5."""
    formula = max(FLOOR, int(1.5 * GIB))
    job = [Work((f"t5 {text_kind}",), ("t5",), 1, FLOOR), Work((f"flux {kind}",), ("flux",), steps, formula), DECODE]
    return [job] * prompts


# --- policies --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """What a policy takes: bytes to the device and back, and seconds of waiting on each link."""

    loaded: float
    back: float
    stalls: tuple[float, ...]
    seconds: float


def compare(jobs: list[list[Work]], capacity: int) -> dict[str, Cell]:
    """Return a cell for each policy."""
    works = [work for job in jobs for work in job]
    native, formula = [work.phase("native") for work in works], [work.phase("formula") for work in works]
    seconds = sum(phase.seconds for phase in native)
    cells: dict[str, Cell] = {}

    def waiting(row: str, loaded: int, back: int = 0) -> None:
        cells[row] = Cell(loaded, back, tuple((loaded + back) / link for link in LINKS), seconds)

    smallest_first: Any = lambda others, number: sorted(others, key=others.__getitem__)  # noqa: E731
    oldest_first: Any = lambda others, number: list(others)  # noqa: E731
    waiting("A", *without_overlap(formula, capacity, smallest_first, freed=1.1, writes_back=True))
    waiting("B", *without_overlap(native, capacity, oldest_first))
    waiting("C", *without_overlap(native, capacity, oldest_first, partly=True))
    waiting("D", *without_overlap(native, capacity, by_next_use(native)))
    whole = lay_out(native, capacity, whole=True)
    for row, kept, depth in (
        ("E", bytearray(len(whole)), 2),
        ("F", block_lru(whole, 2), 2),
        ("G", keep_by_recency(whole), 2),
        ("I", keep_by_next_use(whole, STAGING), None),
    ):
        made = schedule_loads(whole, kept, depth)
        assert made is not None, row
        outcomes = [simulate(whole, made.loads, Link(link)) for link in LINKS]
        cells[row] = Cell(outcomes[0].loaded_bytes, 0, tuple(one.stall_seconds for one in outcomes), seconds)
    loose = [greedy(whole, Link(link)) for link in LINKS]
    cells["H"] = Cell(loose[0][0], 0, tuple(stall for _, stall in loose), seconds)
    for row, count in (("J", "live"), ("K", "expandable")):
        cells[row] = ours([work.phase(count) for work in works], capacity)
    return {row: cells[row] for row in "ABCDEFGHIJK"}


def ours(phases: Sequence[Phase], capacity: int) -> Cell:
    """Return the cell of our planner, with every sweep carried out."""
    outcomes = []
    for link in LINKS:
        plan = make_plan(phases, capacity, Link(link))
        assert isinstance(plan, ResidencyPlan)
        outcomes.append(whole_plan(plan, capacity, Link(link)).outcome)
    stalls = tuple(one.stall_seconds for one in outcomes)
    return Cell(outcomes[0].loaded_bytes, 0, stalls, outcomes[0].compute_seconds)


# --- tables ----------------------------------------------------------------------------------------------------------


def shown(cell: Cell) -> str:
    back = f" (+{cell.back / GB:.0f})" if cell.back else ""
    share = 100 * cell.stalls[0] / cell.seconds
    return f"{cell.loaded / GB:.0f}{back}, {cell.stalls[0]:.1f} ({share:.1f} %), {cell.stalls[1]:.1f}"


def table(columns: dict[str, tuple[list[list[Work]], int]]) -> list[str]:
    """Print a table; returns what is wrong with our row."""
    compared = {title: compare(jobs, card * GIB - GIB * 55 // 100) for title, (jobs, card) in columns.items()}
    titles = [f"{title} (computing {cells['K'].seconds:.0f} s)" for title, cells in compared.items()]
    print("| policy | " + " | ".join(titles) + " |\n|" + "---|" * (len(titles) + 1))
    for row in "ABCDEFGHIJK":
        print(f"| {row} | " + " | ".join(shown(cells[row]) for cells in compared.values()) + " |")
    print()
    worse = []
    for title, cells in compared.items():
        mine, equal = cells["K"], EQUALLY_FAST * cells["K"].seconds
        for at, link in enumerate(LINKS):
            best = min("ABCDEFGHI", key=lambda row: cells[row].stalls[at])
            if mine.stalls[at] > cells[best].stalls[at] + equal:
                worse.append(f"{title}: at {link / GB:.0f} GB/s {best} waits {cells[best].stalls[at]:.2f} s, we longer")
        as_fast = [row for row in "ABCDEFGHI" if cells[row].stalls[0] <= mine.stalls[0] + equal]
        fewest = min((cells[row].loaded + cells[row].back for row in as_fast), default=mine.loaded)
        if mine.loaded > SAME_BYTES * fewest:
            worse.append(f"{title}: {fewest / GB:.0f} GB would do without waiting longer, we move more")
    return worse


def orders(jobs: list[list[Work]], card: int) -> None:
    """Print what reordering a queue is worth."""
    capacity = card * GIB - GIB * 55 // 100
    queue = [Job(tuple(work.phase("expandable") for work in job), 4 << 20) for job in jobs]
    print("| order of 20 prompts, 2 checkpoints, 4 steps | C | G | ours |\n|---|---|---|---|")
    for title, steps in (
        ("as submitted", submitted(queue)),
        ("grouped by checkpoint", grouped(queue)),
        ("grouped, phases batched", batched(queue, GIB)),
    ):
        phases = [jobs[step.job][step.phase].phase("native") for step in steps]
        seconds = sum(phase.seconds for phase in phases)
        loaded = without_overlap(phases, capacity, lambda others, number: list(others), partly=True)[0]
        whole = lay_out(phases, capacity, whole=True)
        made = schedule_loads(whole, keep_by_recency(whole), 2)
        assert made is not None
        recency = simulate(whole, made.loads, Link(LINKS[0]))
        mine = ours([queue[step.job].phases[step.phase] for step in steps], capacity)
        print(
            f"| {title} | {loaded / GB:.0f} GB, {100 * loaded / LINKS[0] / seconds:.1f} % "
            f"| {recency.loaded_bytes / GB:.0f} GB, {100 * recency.stall_seconds / seconds:.1f} % "
            f"| {mine.loaded / GB:.0f} GB, {100 * mine.stalls[0] / seconds:.2f} % |"
        )
    print()


def ram_tier() -> None:
    """Print what the disk reads while whole checkpoints take turns, 30 times, in RAM that does not hold them all."""
    print("| 6.94 GB checkpoints in turn, 30 times | RAM | least recently used | next use |\n|---|---|---|---|")
    for count, ram in ((2, 10), (2, 13), (3, 10), (3, 16), (4, 16)):
        phases = []
        for turn in range(30):
            blocks = [Block(f"checkpoint {turn % count}", index, 6_940_000_000 // 200) for index in range(200)]
            phases.append(Phase("", tuple(Access(block, 0.01) for block in blocks)))
        timeline = lay_out(phases, int(ram * GB), whole=True)
        read = []
        for kept in (block_lru(timeline, 1), keep_by_next_use(timeline)):
            made = schedule_loads(timeline, kept, 1)
            assert made is not None
            read.append(simulate(timeline, made.loads, Link(3e9)).loaded_bytes / GB)
        print(f"| {count} | {ram} GB | {read[0]:.0f} GB, {read[0] / 3:.0f} s | {read[1]:.0f} GB, {read[1] / 3:.0f} s |")
    print()


def planning_time() -> None:
    """Print how long it takes to plan 50 jobs."""
    phases = [work.phase("expandable") for job in alternating(50, "sdxl b2", 20) for work in job]
    begin = time.process_time()
    make_plan(phases, int(7.45 * GIB), Link(12e9))
    print(f"50 queued jobs ({len(phases)} phases) planned in {time.process_time() - begin:.2f} s of one core\n")


def main() -> int:
    """Print all tables; returns 1 where `--check` was given and our row is not the best."""
    print("SIMULATED: virtual clock, assumed card, no card has run this.\n")
    worse = table(
        {
            "W1: ControlNet, base, refiner, ESRGAN, second pass; 6 prompts, 8 GB": (first_workload(), 8),
            "W2: 20 prompts, 2 SDXL, 20 steps CFG, 8 GB": (alternating(20, "sdxl b2", 20), 8),
            "W2L: the same, 4 steps, no CFG": (alternating(20, "sdxl b1", 4), 8),
        }
    )
    worse += table(
        {
            "FLUX fp8, T5 fp8, 4 x 20 steps, 8 GB": (flux("fp8", "fp8", 4, 20), 8),
            "the same, 12 GB": (flux("fp8", "fp8", 4, 20), 12),
            "FLUX bf16, T5 fp16, 2 x 20, 8 GB": (flux("bf16", "fp16", 2, 20), 8),
            "the same bf16, 12 GB": (flux("bf16", "fp16", 2, 20), 12),
            "FLUX fp8, 6 x 4 steps, 8 GB": (flux("fp8", "fp8", 6, 4), 8),
        }
    )
    orders(alternating(20, "sdxl b1", 4), 8)
    ram_tier()
    planning_time()
    print(
        "\n".join(worse)
        or "K waits least in every column (to 0.2 % of computing), and nothing that waits as little moves fewer bytes."
    )
    return 1 if worse and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
