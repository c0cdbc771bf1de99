import { expect, test } from "vitest";
import { gigabytes, seconds, whole, type MemoryPlan } from "../../src/shell/memory/figures";

const GIB = 2 ** 30;
const plan: MemoryPlan = {
  fits: true,
  card: { name: "a card", vram_bytes: 8 * GIB, usable_bytes: 7.45 * GIB },
  smallest_vram_bytes: 3.2 * GIB,
  peak_bytes: 5 * GIB,
  moved_bytes: 0,
  compute_seconds: 1,
  stall_seconds: 0,
  nodes: [],
};

test("bytes and seconds read as people speak of cards", () => {
  expect([5.24 * GIB, 8 * GIB, 0.3 * GIB, 40 * 2 ** 20, 139.9 * GIB].map(gigabytes)).toEqual(["5.2 GB", "8 GB", "0.3 GB", "40 MB", "140 GB"]);
  expect([0.004, 0.0994, 0.1, 12.34].map(seconds)).toEqual(["4 ms", "99 ms", "0.1 s", "12.3 s"]);
});

test("what a run takes counts what the driver keeps; what does not fit is told by the smallest card that would do", () => {
  expect(gigabytes(whole(plan))).toBe("5.5 GB"); // rounded down: 5.55 in binary is a little less
  expect(whole({ ...plan, fits: false })).toBe(plan.smallest_vram_bytes);
});
