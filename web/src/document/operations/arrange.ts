/** Modes, groups and places of many nodes at once. */
import { several } from "../commands";
import { layout, likelyHeight } from "../layout";
import { freeIds } from "../nodes";
import type { Command, Graph, Group, GroupId, GraphNode, Mode, NodeId } from "../types";

const PADDING = 24;
const TITLE = 40;

/** Gives all of the nodes a mode, or takes it from them when all have it. */
export function toggleMode(graph: Graph, ids: Iterable<NodeId>, mode: Exclude<Mode, "always">): Command {
  const nodes = existing(graph, ids);
  const to: Mode = nodes.length > 0 && nodes.every((node) => node.mode === mode) ? "always" : mode;
  return several(nodes.map((node) => ({ do: "updateNode", graph: graph.id, id: node.id, set: { mode: to } })));
}

/** A new group around nodes; they leave the groups that they were in. */
export function groupNodes(graph: Graph, ids: Iterable<NodeId>, title: string): { command: Command; group: GroupId } {
  const nodes = existing(graph, ids);
  const members = nodes.map((node) => node.id);
  const id = freeIds(graph.groups.keys())();
  const left = [...graph.groups.values()]
    .filter((group) => group.members.some((one) => members.includes(one)))
    .map((group) => ({ ...group, members: group.members.filter((one) => !members.includes(one)) }));
  const group: Group = { id, title, ...around(nodes), members };
  return { command: { do: "putGroups", graph: graph.id, groups: [...left, group] }, group: id };
}

/** The group drawn close around its members. */
export function fitGroup(graph: Graph, id: GroupId): Command {
  const group = graph.groups.get(id)!;
  const nodes = existing(graph, group.members);
  return { do: "putGroups", graph: graph.id, groups: nodes.length === 0 ? [] : [{ ...group, ...around(nodes) }] };
}

/** The group and its members, moved together. */
export function moveGroup(graph: Graph, id: GroupId, dx: number, dy: number): Command {
  const group = graph.groups.get(id)!;
  const to = existing(graph, group.members).map((node) => ({ id: node.id, x: node.x + dx, y: node.y + dy }));
  return several([
    { do: "putGroups", graph: graph.id, groups: [{ ...group, x: group.x + dx, y: group.y + dy }] },
    { do: "moveNodes", graph: graph.id, to },
  ]);
}

export function setMembers(graph: Graph, id: GroupId, members: readonly NodeId[]): Command {
  return { do: "putGroups", graph: graph.id, groups: [{ ...graph.groups.get(id)!, members }] };
}

export type Edge = "left" | "right" | "top" | "bottom" | "middle" | "centre";

/** Lines nodes up; "centre" on a vertical line, "middle" on a horizontal one. */
export function align(graph: Graph, ids: Iterable<NodeId>, edge: Edge): Command {
  const nodes = existing(graph, ids);
  const box = bounds(nodes);
  const place = (node: GraphNode): { x: number; y: number } => {
    const height = likelyHeight(node);
    switch (edge) {
      case "left":
        return { x: box.x, y: node.y };
      case "right":
        return { x: box.x + box.width - node.width, y: node.y };
      case "centre":
        return { x: Math.round(box.x + (box.width - node.width) / 2), y: node.y };
      case "top":
        return { x: node.x, y: box.y };
      case "bottom":
        return { x: node.x, y: box.y + box.height - height };
      case "middle":
        return { x: node.x, y: Math.round(box.y + (box.height - height) / 2) };
    }
  };
  return { do: "moveNodes", graph: graph.id, to: nodes.map((node) => ({ id: node.id, ...place(node) })) };
}

/** Makes the gaps between nodes equal; the outermost stay. */
export function distribute(graph: Graph, ids: Iterable<NodeId>, axis: "x" | "y"): Command {
  const size = (node: GraphNode) => (axis === "x" ? node.width : likelyHeight(node));
  const nodes = existing(graph, ids).sort((one, other) => one[axis] - other[axis]);
  const first = nodes[0];
  const last = nodes.at(-1);
  if (first === undefined || last === undefined || nodes.length < 3)
    return { do: "moveNodes", graph: graph.id, to: [] };
  const taken = nodes.reduce((sum, node) => sum + size(node), 0);
  const gap = (last[axis] + size(last) - first[axis] - taken) / (nodes.length - 1);
  let at = first[axis];
  const to = nodes.map((node) => {
    const place = { id: node.id, x: node.x, y: node.y, [axis]: Math.round(at) };
    at += size(node) + gap;
    return place;
  });
  return { do: "moveNodes", graph: graph.id, to };
}

/** Lays nodes out anew (all when left out); groups are drawn around their members again. */
export function tidy(graph: Graph, ids: Iterable<NodeId> = graph.nodes.keys()): Command {
  const to = layout(
    graph,
    [...ids].filter((id) => graph.nodes.get(id)?.pinned !== true),
  );
  const places = new Map(to.map((one) => [one.id, one]));
  const groups = [...graph.groups.values()]
    .filter((group) => group.members.some((id) => places.has(id)))
    .map((group) => ({
      ...group,
      ...around(existing(graph, group.members).map((node) => ({ ...node, ...places.get(node.id) }))),
    }));
  return several([
    { do: "moveNodes", graph: graph.id, to },
    { do: "putGroups", graph: graph.id, groups },
  ]);
}

function existing(graph: Graph, ids: Iterable<NodeId>): GraphNode[] {
  return [...new Set(ids)].flatMap((id) => graph.nodes.get(id) ?? []);
}

export function bounds(nodes: readonly GraphNode[]): { x: number; y: number; width: number; height: number } {
  const x = Math.min(...nodes.map((node) => node.x));
  const y = Math.min(...nodes.map((node) => node.y));
  const right = Math.max(...nodes.map((node) => node.x + node.width));
  const bottom = Math.max(...nodes.map((node) => node.y + likelyHeight(node)));
  return nodes.length === 0 ? { x: 0, y: 0, width: 0, height: 0 } : { x, y, width: right - x, height: bottom - y };
}

function around(nodes: readonly GraphNode[]): { x: number; y: number; width: number; height: number } {
  const box = bounds(nodes);
  return {
    x: box.x - PADDING,
    y: box.y - PADDING - TITLE,
    width: box.width + 2 * PADDING,
    height: box.height + 2 * PADDING + TITLE,
  };
}
