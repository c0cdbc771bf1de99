/** Which inputs differ between the prompts of two pictures, and between those of many. */
import { sourceOf, spelled, type PromptLike, type PromptNodeLike } from "./facts";

export interface Difference {
  readonly node: string;
  readonly title: string;
  readonly input: string;
  /** Values as text; undefined where the node or the input is not there. */
  readonly a: string | undefined;
  readonly b: string | undefined;
}

const titleOf = (node: PromptNodeLike): string => node._meta?.title ?? node.class_type;

/** Pairs of node ids that mean the same node: by id and type, then by type and title, then by type alone in their order. */
export function pairs(a: PromptLike, b: PromptLike): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const taken = new Set<string>();
  const rules: readonly ((x: string, y: string) => boolean)[] = [
    (x, y) => x === y && a[x]!.class_type === b[y]!.class_type,
    (x, y) => a[x]!.class_type === b[y]!.class_type && titleOf(a[x]!) === titleOf(b[y]!),
    (x, y) => a[x]!.class_type === b[y]!.class_type,
  ];
  for (const same of rules) {
    for (const x of Object.keys(a)) {
      if (found.has(x)) continue;
      const y = Object.keys(b).find((one) => !taken.has(one) && same(x, one));
      if (y === undefined) continue;
      found.set(x, y);
      taken.add(y);
    }
  }
  return found;
}

export function differences(a: PromptLike, b: PromptLike): readonly Difference[] {
  const matched = pairs(a, b);
  const rows: Difference[] = [];
  for (const [id, node] of Object.entries(a)) {
    const other = matched.get(id);
    if (other === undefined) rows.push({ node: id, title: titleOf(node), input: "", a: node.class_type, b: undefined });
    else rows.push(...inputsOf(id, node, b[other]!, matched, a, b));
  }
  const taken = new Set(matched.values());
  for (const [id, node] of Object.entries(b)) {
    if (!taken.has(id)) rows.push({ node: id, title: titleOf(node), input: "", a: undefined, b: node.class_type });
  }
  return rows;
}

function inputsOf(id: string, one: PromptNodeLike, other: PromptNodeLike, matched: ReadonlyMap<string, string>, a: PromptLike, b: PromptLike): readonly Difference[] {
  const rows: Difference[] = [];
  for (const input of new Set([...Object.keys(one.inputs), ...Object.keys(other.inputs)])) {
    const [x, y] = [one.inputs[input], other.inputs[input]];
    const [from, to] = [sourceOf(x), sourceOf(y)];
    const same = from !== undefined && to !== undefined ? matched.get(from) === to && (x as unknown[])[1] === (y as unknown[])[1] : JSON.stringify(x) === JSON.stringify(y);
    if (!same) rows.push({ node: id, title: titleOf(one), input, a: shown(x, a), b: shown(y, b) });
  }
  return rows;
}

/** A link is shown as where it comes from. */
function shown(value: unknown, prompt: PromptLike): string | undefined {
  if (value === undefined) return undefined;
  const from = sourceOf(value);
  return from === undefined ? spelled(value) : `← ${prompt[from] ? titleOf(prompt[from]) : from}`;
}

export interface Axis {
  readonly node: string;
  readonly title: string;
  readonly input: string;
  readonly values: readonly string[];
}

/**
 * Inputs that have more than one value among prompts of the same shape; those with the most values come first. Of inputs
 * that always change together the first one stands for all.
 */
export function axesOf(prompts: readonly PromptLike[]): readonly Axis[] {
  const [first] = prompts;
  if (first === undefined) return [];
  const axes: Axis[] = [];
  const seen = new Set<string>();
  for (const [id, node] of Object.entries(first)) {
    for (const [input, value] of Object.entries(node.inputs)) {
      if (sourceOf(value) !== undefined) continue;
      const all = prompts.map((prompt) => valueAt(prompt, id, input));
      const values = [...new Set(all)];
      const pattern = all.map((one) => values.indexOf(one)).join();
      if (values.length < 2 || seen.has(pattern)) continue;
      seen.add(pattern);
      axes.push({ node: id, title: titleOf(node), input, values: ordered(values) });
    }
  }
  return axes.sort((x, y) => y.values.length - x.values.length);
}

export const valueAt = (prompt: PromptLike, node: string, input: string): string => spelled(prompt[node]?.inputs[input] ?? "");

function ordered(values: readonly string[]): readonly string[] {
  return values.every((one) => one !== "" && Number.isFinite(Number(one))) ? values.toSorted((a, b) => Number(a) - Number(b)) : values;
}
