/** Which output may feed which input: as the server decides it, told before a link is made. */
import { linkIndex } from "./adjacency";
import type { Graph, InputSpec, NodeId, Specs } from "./types";

export function isWildcard(type: string): boolean {
  return type === "*" || type === "";
}

/** The member types of a union such as "IMAGE,MASK". */
export function members(type: string): readonly string[] {
  return type.split(",").flatMap((part) => part.trim() || []);
}

const known = new Map<string, boolean>();

/** Equal types match, unions that share a member, wildcards; a choice takes text, as saved graphs rely on. */
export function compatible(output: string, input: string): boolean {
  if (output === input || isWildcard(output) || isWildcard(input)) return true;
  const key = `${output}\n${input}`;
  let found = known.get(key);
  if (found === undefined) {
    const taken = members(input);
    found = (input === "COMBO" && output === "STRING") || members(output).some((one) => taken.includes(one));
    if (known.size > 20_000) known.clear();
    known.set(key, found);
  }
  return found;
}

/** Whether everything that one choice offers the other takes: then a value may be shared between both. */
export function choicesWithin(offered: InputSpec, taken: InputSpec): boolean {
  const allowed = taken.choices;
  return allowed === undefined || (offered.choices ?? []).every((choice) => allowed.includes(choice));
}

/** Whether a link between these nodes would close a circle: `to` already leads to `from`. */
export function wouldCycle(graph: Graph, from: NodeId, to: NodeId): boolean {
  if (from === to) return true;
  const index = linkIndex(graph.links);
  const seen = new Set<NodeId>([to]);
  const pending = [to];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    for (const link of index.of(id).out) {
      if (link.to === from) return true;
      if (!seen.has(link.to)) {
        seen.add(link.to);
        pending.push(link.to);
      }
    }
  }
  return false;
}

/** Where a node type takes or gives a socket type: what a menu at a loose link's end offers. */
export interface Partner {
  readonly type: string;
  readonly slot: string;
  /** Exact matches before those by union or wildcard. */
  readonly exact: boolean;
}

export interface TypeIndex {
  /** Node types with an input that takes this output type. */
  takers(type: string): readonly Partner[];
  /** Node types with an output that gives this input type. */
  givers(type: string): readonly Partner[];
}

export function typeIndex(specs: Specs): TypeIndex {
  const inputs: { type: string; node: string; slot: string }[] = [];
  const outputs: { type: string; node: string; slot: string }[] = [];
  for (const spec of specs.values()) {
    for (const input of spec.inputs) {
      if (input.group !== "hidden") inputs.push({ type: input.type, node: spec.type, slot: input.name });
    }
    for (const output of spec.outputs) outputs.push({ type: output.type, node: spec.type, slot: output.name });
  }
  const takers = new Map<string, readonly Partner[]>();
  const givers = new Map<string, readonly Partner[]>();
  return {
    takers: (type) => remembered(takers, type, () => partners(inputs, (one) => compatible(type, one), type)),
    givers: (type) => remembered(givers, type, () => partners(outputs, (one) => compatible(one, type), type)),
  };
}

function remembered<T>(store: Map<string, T>, key: string, make: () => T): T {
  let found = store.get(key);
  if (found === undefined) store.set(key, (found = make()));
  return found;
}

function partners(
  slots: readonly { type: string; node: string; slot: string }[],
  fits: (type: string) => boolean,
  wanted: string,
): readonly Partner[] {
  const best = new Map<string, Partner>();
  for (const { type, node, slot } of slots) {
    if (!fits(type)) continue;
    const exact = type === wanted;
    const before = best.get(node);
    if (before === undefined || (exact && !before.exact)) best.set(node, { type: node, slot, exact });
  }
  return [...best.values()].sort((one, other) => Number(other.exact) - Number(one.exact));
}
