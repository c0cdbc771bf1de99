/** Long work in small pieces: a generator stops at every `yield`, and the page may draw and answer in between. */

/** Work that stops now and then; what it yields is how far it is, from 0 to 1, where it knows. */
export type Steps<T> = Generator<number | undefined, T>;

/** Who watches long work, and may end it. */
export interface Watch {
  /** Called now and then with how far it is, from 0 to 1. */
  progress?(part: number): void;
  /** Aborting it ends the work with the signal's reason. */
  readonly signal?: AbortSignal;
}

const SLICE_MS = 12;

/** Does the work at once. */
export function atOnce<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

/** Does the work in slices of a few milliseconds. Raises the signal's reason when it is aborted. */
export async function inSlices<T>(steps: Steps<T>, watch: Watch = {}): Promise<T> {
  for (;;) {
    const end = performance.now() + SLICE_MS;
    let part: number | undefined;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
      part = step.value ?? part;
    } while (performance.now() < end);
    if (part !== undefined) watch.progress?.(part);
    await pause();
    watch.signal?.throwIfAborted();
  }
}

/** A task of its own: unlike a promise alone it lets the page draw, and unlike a timer it is not held back. */
function pause(): Promise<void> {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(0);
  });
}

/** `part` of some work that is itself only a share of the whole, from `low` to `high`. */
export function* share<T>(steps: Steps<T>, low: number, high: number): Steps<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    yield step.value === undefined ? undefined : low + (high - low) * step.value;
  }
}
