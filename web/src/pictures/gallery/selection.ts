/** Which pictures of the gallery are chosen, by key; ranges go by their places. */
export interface Chosen {
  readonly keys: ReadonlySet<string>;
  /** Where a range begins. */
  readonly anchor: number;
  /** Where the keyboard is. */
  readonly focus: number;
}
export const NONE: Chosen = { keys: new Set(), anchor: 0, focus: 0 };

export function toggled(before: Chosen, key: string, at: number): Chosen {
  const keys = new Set(before.keys);
  if (!keys.delete(key)) keys.add(key);
  return { keys, anchor: at, focus: at };
}

/** All from the anchor to `at`, whatever was chosen before. */
export function ranged(before: Chosen, keys: readonly string[], at: number): Chosen {
  return { keys: new Set(keys), anchor: before.anchor, focus: at };
}

export const moved = (before: Chosen, to: number): Chosen => ({ ...before, focus: to, anchor: to });

/** Where a key leads in a grid; undefined for other keys. */
export function step(key: string, at: number, columns: number, page: number, total: number): number | undefined {
  const by: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -columns * page, PageDown: columns * page, Home: -total, End: total };
  const far = by[key];
  if (far === undefined) return undefined;
  const to = at + far;
  // Up and down stay in their column, so the end of the list does not catch them.
  if (Math.abs(far) === columns && (to < 0 || to >= total) && columns > 1) return at;
  return Math.min(total - 1, Math.max(0, to));
}
