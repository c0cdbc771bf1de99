/** Copying and pasting: also between documents, and as templates kept for later. A clip is plain JSON. */
import { linkIndex } from "../adjacency";
import { several } from "../commands";
import { freeIds } from "../nodes";
import { copiedBends } from "./bends";
import {
  INPUTS,
  ROOT,
  type Command,
  type Graph,
  type GraphId,
  type Group,
  type GraphNode,
  type Json,
  type Link,
  type NodeId,
  type Workflow,
} from "../types";

export interface Clip {
  readonly safelightClip: 1;
  readonly nodes: readonly GraphNode[];
  readonly links: readonly Link[];
  /** Links into the copied nodes from others: pasted only when asked for, where those others are. */
  readonly outside: readonly Link[];
  readonly groups: readonly Group[];
  /** Subgraphs that the nodes are instances of, and those inside these. */
  readonly definitions: readonly PlainGraph[];
}

/** A graph whose maps are lists, so that JSON can hold it. */
export type PlainGraph = Omit<Graph, "nodes" | "links" | "groups"> & {
  readonly nodes: readonly GraphNode[];
  readonly links: readonly Link[];
  readonly groups: readonly Group[];
};

export interface Pasted {
  readonly command: Command;
  /** The new nodes, to be selected. */
  readonly ids: readonly NodeId[];
}

export function plainGraph(graph: Graph): PlainGraph {
  return {
    ...graph,
    nodes: [...graph.nodes.values()],
    links: [...graph.links.values()],
    groups: [...graph.groups.values()],
  };
}

export function graphOf(plain: PlainGraph): Graph {
  const byId = <T extends { readonly id: string }>(list: readonly T[]) => new Map(list.map((one) => [one.id, one]));
  return { ...plain, nodes: byId(plain.nodes), links: byId(plain.links), groups: byId(plain.groups) };
}

export function copy(workflow: Workflow, graph: GraphId, ids: Iterable<NodeId>): Clip {
  const from = workflow.graphs.get(graph)!;
  const chosen = new Set(ids);
  const nodes = [...from.nodes.values()].filter((node) => chosen.has(node.id));
  const incoming = nodes.flatMap((node) => linkIndex(from.links).of(node.id).in).filter((link) => link.from !== INPUTS);
  const groups = [...from.groups.values()].filter(
    (group) => group.members.length > 0 && group.members.every((id) => chosen.has(id)),
  );
  return {
    safelightClip: 1,
    nodes,
    links: incoming.filter((link) => chosen.has(link.from)),
    outside: incoming.filter((link) => !chosen.has(link.from)),
    groups,
    definitions: definitionsUsed(workflow, nodes).map(plainGraph),
  };
}

/** The definitions that nodes are instances of, directly or inside others. */
export function definitionsUsed(workflow: Workflow, nodes: Iterable<GraphNode>): readonly Graph[] {
  const found = new Map<GraphId, Graph>();
  const pending = [...nodes];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const graph = node.type === ROOT ? undefined : workflow.graphs.get(node.type);
    if (graph === undefined || found.has(graph.id)) continue;
    found.set(graph.id, graph);
    pending.push(...graph.nodes.values());
  }
  return [...found.values()];
}

/** The clip that a text holds, or nothing: what else is on the clipboard is none of ours. */
export function clipFromText(text: string): Clip | undefined {
  if (!text.startsWith('{"safelightClip":1')) return undefined;
  try {
    const clip = JSON.parse(text) as Clip;
    const whole = [clip.nodes, clip.links, clip.outside, clip.groups, clip.definitions].every(Array.isArray);
    return whole ? clip : undefined;
  } catch {
    return undefined;
  }
}

export function clipToText(clip: Clip): string {
  return JSON.stringify(clip);
}

/** Pastes with the upper left corner at a place. */
export function paste(
  workflow: Workflow,
  graph: GraphId,
  clip: Clip,
  at: { x: number; y: number },
  withOutsideLinks = false,
): Pasted {
  const x = Math.min(...clip.nodes.map((node) => node.x));
  const y = Math.min(...clip.nodes.map((node) => node.y));
  return pasteMoved(workflow, graph, clip, at.x - x, at.y - y, withOutsideLinks);
}

export function duplicate(workflow: Workflow, graph: GraphId, ids: Iterable<NodeId>, withOutsideLinks = true): Pasted {
  return pasteMoved(workflow, graph, copy(workflow, graph, ids), 32, 32, withOutsideLinks);
}

function pasteMoved(
  workflow: Workflow,
  graph: GraphId,
  clip: Clip,
  dx: number,
  dy: number,
  withOutsideLinks: boolean,
): Pasted {
  const into = workflow.graphs.get(graph)!;
  // A graph cannot hold an instance of itself or of what it stands in.
  const holding = clip.definitions.some((one) => one.id === graph)
    ? new Set([graph, ...clip.definitions.map((one) => one.id)])
    : new Set<GraphId>();
  const nodes = clip.nodes.filter((node) => !holding.has(node.type));
  const nodeId = freeIds(into.nodes.keys());
  const linkId = freeIds(into.links.keys());
  const groupId = freeIds(into.groups.keys());
  const renamed = new Map(nodes.map((node) => [node.id, nodeId()]));
  const placed = nodes.map((node) => moved({ ...node, id: renamed.get(node.id)!, x: node.x + dx, y: node.y + dy }));
  const bendsOf = copiedBends(into, dx, dy);
  const links: Link[] = [];
  const add = (link: Link, from: NodeId) => {
    const to = renamed.get(link.to);
    const bends = bendsOf(link.bends);
    const { bends: _bends, extra: _extra, ...plain } = link;
    if (to !== undefined) links.push({ ...plain, id: linkId(), from, to, ...(bends && { bends }) });
  };
  for (const link of clip.links) {
    const from = renamed.get(link.from);
    if (from !== undefined) add(link, from);
  }
  for (const link of withOutsideLinks ? clip.outside : []) {
    if (into.nodes.get(link.from)?.outputs[link.output]?.type === link.type) add(link, link.from);
  }
  const groups = clip.groups.map(({ extra: _extra, ...group }) => ({
    ...group,
    id: groupId(),
    x: group.x + dx,
    y: group.y + dy,
    members: group.members.flatMap((id) => renamed.get(id) ?? []),
  }));
  const definitions = clip.definitions.filter((one) => !workflow.graphs.has(one.id));
  const commands: Command[] = [
    ...definitions.map((one): Command => ({ do: "putGraph", definition: graphOf(one) })),
    { do: "addNodes", graph, nodes: placed },
    ...(links.length > 0 ? [{ do: "addLinks", graph, links } as const] : []),
    ...(groups.length > 0 ? [{ do: "putGroups", graph, groups } as const] : []),
  ];
  return { command: several(commands), ids: [...renamed.values()] };
}

/** A copy forgets which links the file of its original named, and keeps the rest of its entry. */
function moved(node: GraphNode): GraphNode {
  const slots = <T extends { readonly extra?: { readonly [key: string]: Json } }>(list: readonly T[]): readonly T[] =>
    list.map((slot) => {
      if (slot.extra?.was === undefined) return slot;
      const { was: _was, ...extra } = slot.extra;
      return { ...slot, extra };
    });
  return { ...node, inputs: slots(node.inputs), outputs: slots(node.outputs) };
}
