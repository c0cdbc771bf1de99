/**
 * A layered layout: every node right of what feeds it, few crossings, nothing overlapping.
 *
 * Longest-path layers, order within them by the mean place of neighbours (four sweeps), then a packing from the top.
 */
import { linkIndex } from "./adjacency";
import type { Graph, GraphNode, NodeId, NodeSpec, Specs } from "./types";

export interface Placed {
  readonly id: NodeId;
  readonly x: number;
  readonly y: number;
}

const GAP_X = 80;
const GAP_Y = 32;
/** Taller columns are broken in two, so that four hundred prompts do not make a tower. */
const MAX_HEIGHT = 12_000;

/** How high a node without a height of its own is taken to be; `spec` says which of its fields are large. */
export function likelyHeight(node: GraphNode, spec?: NodeSpec): number {
  if (node.collapsed === true) return 32;
  if (node.height !== null) return node.height;
  const fields = spec?.inputs.filter((input) => Object.hasOwn(node.values, input.name));
  const texts = fields
    ? fields.filter((input) => input.multiline === true).length
    : Object.values(node.values).filter((value) => typeof value === "string" && value.length > 40).length;
  const pictures = fields?.filter((input) => input.options["image_upload"] === true).length ?? 0;
  return (
    44 +
    24 * Math.max(node.inputs.filter((slot) => slot.widget === undefined).length, node.outputs.length) +
    30 * Object.keys(node.values).length +
    70 * texts +
    170 * pictures
  );
}

/** Places for these nodes (all when left out), with the upper left corner where theirs is now. */
export function layout(graph: Graph, ids: Iterable<NodeId> = graph.nodes.keys(), specs?: Specs): readonly Placed[] {
  const chosen = new Set([...ids].filter((id) => graph.nodes.has(id)));
  if (chosen.size === 0) return [];
  const index = linkIndex(graph.links);
  const before = new Map<NodeId, NodeId[]>();
  const after = new Map<NodeId, NodeId[]>();
  for (const id of chosen) {
    before.set(
      id,
      unique(
        index
          .of(id)
          .in.map((link) => link.from)
          .filter((one) => chosen.has(one) && one !== id),
      ),
    );
    after.set(
      id,
      unique(
        index
          .of(id)
          .out.map((link) => link.to)
          .filter((one) => chosen.has(one) && one !== id),
      ),
    );
  }
  const columns = layered(chosen, before, after);
  const place = new Map<NodeId, number>();
  for (const column of columns) for (const [row, id] of column.entries()) place.set(id, row);
  for (let sweep = 0; sweep < 4; sweep++) {
    const forward = sweep % 2 === 0;
    const neighbours = forward ? before : after;
    for (const column of forward ? columns : columns.toReversed()) {
      const weight = new Map(column.map((id) => [id, mean(neighbours.get(id)!, place) ?? place.get(id)!]));
      column.sort((one, other) => weight.get(one)! - weight.get(other)!);
      for (const [row, id] of column.entries()) place.set(id, row);
    }
  }
  return packed(graph, chosen, columns, before, (node) => likelyHeight(node, specs?.get(node.type)));
}

function layered(
  chosen: ReadonlySet<NodeId>,
  before: ReadonlyMap<NodeId, NodeId[]>,
  after: ReadonlyMap<NodeId, NodeId[]>,
): NodeId[][] {
  const waiting = new Map([...chosen].map((id) => [id, before.get(id)!.length]));
  const layer = new Map<NodeId, number>();
  const ready = [...chosen].filter((id) => waiting.get(id) === 0);
  const rest = [...chosen];
  let next = 0;
  while (layer.size < chosen.size) {
    // A circle has no start: it is opened at its first node.
    while (ready.length === 0 || ready.every((id) => layer.has(id))) {
      const id = rest[next++]!;
      if (!layer.has(id)) ready.push(id);
    }
    for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
      if (layer.has(id)) continue;
      layer.set(id, 1 + Math.max(-1, ...before.get(id)!.map((one) => layer.get(one) ?? -1)));
      for (const one of after.get(id)!) {
        const left = waiting.get(one)! - 1;
        waiting.set(one, left);
        if (left === 0) ready.push(one);
      }
    }
  }
  // A node that is only needed far to the right stands right before what it feeds.
  const late = [...chosen].sort((one, other) => layer.get(other)! - layer.get(one)!);
  for (const id of late) {
    const nearest = Math.min(...after.get(id)!.map((one) => layer.get(one)!), Infinity);
    if (nearest !== Infinity && nearest - 1 > layer.get(id)!) layer.set(id, nearest - 1);
  }
  const columns: NodeId[][] = [];
  for (const id of chosen) (columns[layer.get(id)!] ??= []).push(id);
  return columns.filter((column) => column !== undefined);
}

function packed(
  graph: Graph,
  chosen: ReadonlySet<NodeId>,
  columns: readonly NodeId[][],
  before: ReadonlyMap<NodeId, NodeId[]>,
  heightOf: (node: GraphNode) => number,
): readonly Placed[] {
  const nodes = [...chosen].map((id) => graph.nodes.get(id)!);
  let x = nodes.reduce((least, node) => Math.min(least, node.x), Infinity);
  const top = nodes.reduce((least, node) => Math.min(least, node.y), Infinity);
  const middle = new Map<NodeId, number>();
  const placed: Placed[] = [];
  for (const column of columns.flatMap((one) => broken(graph, one, heightOf))) {
    let free = top;
    let widest = 0;
    for (const id of column) {
      const node = graph.nodes.get(id)!;
      const height = heightOf(node);
      const wanted = mean(before.get(id)!, middle);
      const y = Math.max(free, wanted === undefined ? free : Math.round(wanted - height / 2));
      placed.push({ id, x, y });
      middle.set(id, y + height / 2);
      free = y + height + GAP_Y;
      widest = Math.max(widest, node.width);
    }
    x += widest + GAP_X;
  }
  return placed;
}

function broken(graph: Graph, column: readonly NodeId[], heightOf: (node: GraphNode) => number): NodeId[][] {
  const parts: NodeId[][] = [[]];
  let height = 0;
  for (const id of column) {
    const own = heightOf(graph.nodes.get(id)!) + GAP_Y;
    if (height + own > MAX_HEIGHT && height > 0) {
      parts.push([]);
      height = 0;
    }
    parts.at(-1)!.push(id);
    height += own;
  }
  return parts;
}

function mean(ids: readonly NodeId[], of: ReadonlyMap<NodeId, number>): number | undefined {
  let sum = 0;
  let count = 0;
  for (const id of ids) {
    const value = of.get(id);
    if (value === undefined) continue;
    sum += value;
    count += 1;
  }
  return count === 0 ? undefined : sum / count;
}

function unique(ids: readonly NodeId[]): NodeId[] {
  return [...new Set(ids)];
}
