/** Making nodes and ids. */
import { defaultOf, effectiveInputs } from "./specs";
import { withEntry } from "./json";
import type { Graph, GraphNode, Json, NodeId, NodeSpec, Slot } from "./types";

export const NODE_WIDTH = 240;
const TEXT_WIDTH = 400;

/** A new node with its type's sockets and default values. */
export function newNode(spec: NodeSpec, id: NodeId, x: number, y: number): GraphNode {
  const values: Record<string, Json> = {};
  const inputs: Slot[] = [];
  for (const input of effectiveInputs(spec.inputs, values, () => false)) {
    if (input.group === "hidden") continue;
    const value = input.widget ? defaultOf(input) : undefined;
    if (input.widget) {
      if (value !== undefined) withEntry(values, input.name, value);
    } else inputs.push({ name: input.name, type: input.type });
  }
  const wide = spec.inputs.some((input) => input.multiline === true);
  return {
    id,
    type: spec.type,
    mode: "always",
    values,
    inputs,
    outputs: spec.outputs.map(({ name, type }) => ({ name, type })),
    x,
    y,
    width: wide ? TEXT_WIDTH : NODE_WIDTH,
    height: null,
  };
}

/** Ids that are free in a graph, one after another: whole numbers above all that are in use. */
export function freeIds(taken: Iterable<string>): () => string {
  let last = 0;
  for (const id of taken) {
    const number = Number(id);
    if (Number.isSafeInteger(number) && number > last) last = number;
  }
  return () => String(++last);
}

export function nextNodeId(graph: Graph): NodeId {
  return freeIds(graph.nodes.keys())();
}

export function nextLinkId(graph: Graph): string {
  return freeIds(graph.links.keys())();
}

export function nextGroupId(graph: Graph): string {
  return freeIds(graph.groups.keys())();
}
