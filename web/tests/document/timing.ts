/** Time as the processor gives it to this process: what else a machine does is not in it. */

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Milliseconds of the processor that a run takes. */
export async function taken(run: () => unknown): Promise<number> {
  const start = processorMs();
  await run();
  return processorMs() - start;
}

function once(run: () => unknown): number {
  const start = processorMs();
  run();
  return processorMs() - start;
}

/** The least of up to forty runs in milliseconds, ended by the first below the bound: the first ones compile. */
export function fastest(bound: number, run: () => unknown): number {
  let best = Infinity;
  for (let turn = 0; turn < 40 && best >= bound; turn++) best = Math.min(best, once(run));
  return best;
}

const TURNS = 15;

/**
 * How much longer four times as much takes, by the least of several runs of each; `prepare` makes a run of a size. It is
 * near 4 where time grows with the size and near 16 where it grows with its square: less than `LINEAR` is the former.
 */
export function growth(size: number, prepare: (size: number) => () => unknown): number {
  const [less, more] = [prepare(size), prepare(4 * size)];
  let [small, large] = [Infinity, Infinity];
  for (let turn = 0; turn < TURNS; turn++) {
    small = Math.min(small, once(less));
    large = Math.min(large, once(more));
  }
  return large / small;
}
export const LINEAR = 8;
