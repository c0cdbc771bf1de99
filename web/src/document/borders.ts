/** Where the borders inside a subgraph stand: the `bounding` of a definition's `inputNode` and `outputNode`. */
import { isObject, member } from "./json";
import { boundsOf } from "./read/groups";
import type { Borders, Graph, Json, JsonObject } from "./types";

const SIDES = [
  ["inputs", "inputNode"],
  ["outputs", "outputNode"],
] as const;
const GAP = 120;
const WIDTH = 160;
/** Size of a border in a file that did not have one: editors of the ecosystem measure it anew. */
const SIZE = [120, 60] as const;

export function readBorders(data: JsonObject): Borders {
  const found = SIDES.flatMap(([side, key]) => {
    const box = boundsOf(member(data[key], "bounding"));
    return box === undefined ? [] : [[side, { x: box.x, y: box.y }] as const];
  });
  return Object.fromEntries(found);
}

/** Replaces the corner of a box that was moved; what was not moved stays as the file spells it. */
export function writeBorders(out: Record<string, Json>, graph: Graph): void {
  for (const [side, key] of SIDES) {
    const at = graph.borders?.[side];
    const before = out[key];
    const box = boundsOf(member(before, "bounding"));
    if (at === undefined || !isObject(before) || (box?.x === at.x && box.y === at.y)) continue;
    const list = [at.x, at.y, box?.width ?? SIZE[0], box?.height ?? SIZE[1]];
    const spelled = isObject(before.bounding) ? Object.fromEntries(list.map((one, place) => [String(place), one])) : list;
    out[key] = { ...before, bounding: spelled };
  }
}

/** Where a border stands that nobody moved: the inputs left of all nodes, the outputs right of them. */
export function besideNodes(graph: Graph, side: keyof Borders): readonly [number, number] {
  let [left, right, top] = [Infinity, -Infinity, Infinity];
  for (const node of graph.nodes.values()) {
    left = Math.min(left, node.x);
    right = Math.max(right, node.x + node.width);
    top = Math.min(top, node.y);
  }
  if (graph.nodes.size === 0) [left, right, top] = [0, 400, 0];
  return side === "inputs" ? [left - WIDTH - GAP, top] : [right + GAP, top];
}
