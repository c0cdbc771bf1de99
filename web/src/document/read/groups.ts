/** Reading groups; files have no list of members, so what stands inside belongs to it. */
import type { Left } from "../fileRecords";
import { idOf, isObject, listOf } from "../json";
import type { Group, GroupId, GraphNode, Json, NodeId } from "../types";

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export function readGroups(
  entries: readonly Json[],
  nodes: ReadonlyMap<NodeId, GraphNode>,
): { groups: Map<GroupId, Group>; left: Left[] } {
  const groups = new Map<GroupId, Group>();
  const left: Left[] = [];
  for (const [at, entry] of entries.entries()) {
    const box = isObject(entry) ? boundsOf(entry.bounding) : undefined;
    const id = isObject(entry) ? (idOf(entry.id) ?? `group ${at}`) : undefined;
    if (!isObject(entry) || box === undefined || id === undefined || groups.has(id)) {
      left.push({ at, entry });
      continue;
    }
    const listed = Array.isArray(entry.members) ? listOf(entry.members).flatMap((one) => idOf(one) ?? []) : undefined;
    groups.set(id, {
      id,
      title: typeof entry.title === "string" ? entry.title : "",
      ...box,
      ...(typeof entry.color === "string" && { color: entry.color }),
      members: listed?.filter((one) => nodes.has(one)) ?? inside(box, nodes),
      extra: { file: entry },
    });
  }
  return { groups, left };
}

/** Nodes whose middle lies in the box: one that sticks out a little still belongs. */
export function inside(box: Box, nodes: ReadonlyMap<NodeId, GraphNode>): readonly NodeId[] {
  const found: NodeId[] = [];
  for (const node of nodes.values()) {
    const x = node.x + node.width / 2;
    const y = node.y + (node.height ?? 100) / 2;
    if (x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height) found.push(node.id);
  }
  return found;
}

export function boundsOf(value: Json | undefined): Box | undefined {
  const list = isObject(value) ? ["0", "1", "2", "3"].map((key) => value[key]) : listOf(value);
  const [x, y, width, height] = list;
  if (typeof x !== "number" || typeof y !== "number" || typeof width !== "number" || typeof height !== "number")
    return undefined;
  return { x, y, width, height };
}
