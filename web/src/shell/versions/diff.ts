/** What two versions of a workflow differ in, and one graph that shows both. */
import { ROOT, type Command, type Graph, type GraphId, type GraphNode, type Json, type Link, type NodeId, type Specs, type Workflow } from "../../document/types";

export type ChangeKind = "added" | "removed" | "changed" | "moved";
export interface ValueChange {
  readonly name: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}
export interface NodeChange {
  readonly graph: GraphId;
  readonly id: NodeId;
  readonly title: string;
  readonly kind: ChangeKind;
  readonly values: readonly ValueChange[];
}
export interface Differences {
  readonly nodes: readonly NodeChange[];
  /** Links that came or went, whatever became of their nodes. */
  readonly links: number;
  readonly groups: boolean;
  readonly form: boolean;
}

/** A removed node whose id another one has now stands beside it under this name. */
const ghost = (id: NodeId): NodeId => `${id}·before`;

export function differences(before: Workflow, after: Workflow, specs: Specs): Differences {
  const nodes: NodeChange[] = [];
  let links = 0;
  let groups = false;
  for (const id of new Set([...after.graphs.keys(), ...before.graphs.keys()])) {
    const old = before.graphs.get(id);
    const now = after.graphs.get(id);
    nodes.push(...nodesOf(id, old, now, specs));
    const kept = new Set([...(old?.links.values() ?? [])].map(pathOf));
    const current = new Set([...(now?.links.values() ?? [])].map(pathOf));
    links += apart(kept, current) + apart(current, kept);
    groups ||= text([...(old?.groups.values() ?? [])]) !== text([...(now?.groups.values() ?? [])]);
  }
  return { nodes, links, groups, form: text(before.form) !== text(after.form) };
}

export const isSame = (found: Differences): boolean => found.nodes.length === 0 && found.links === 0 && !found.groups && !found.form;

const apart = (one: ReadonlySet<string>, other: ReadonlySet<string>): number => [...one].filter((path) => !other.has(path)).length;
const pathOf = (link: Link): string => text([link.from, link.output, link.to, link.input]);

function nodesOf(graph: GraphId, old: Graph | undefined, now: Graph | undefined, specs: Specs): readonly NodeChange[] {
  const found: NodeChange[] = [];
  const titled = (node: GraphNode): string => node.title ?? specs.get(node.type)?.title ?? node.type;
  const was = readings(old, titled);
  const is = readings(now, titled);
  for (const node of old?.nodes.values() ?? []) {
    const same = now?.nodes.get(node.id);
    if (same === undefined) found.push({ graph, id: node.id, title: titled(node), kind: "removed", values: [] });
    else if (same.type !== node.type) found.push({ graph, id: ghost(node.id), title: titled(node), kind: "removed", values: [] });
  }
  for (const node of now?.nodes.values() ?? []) {
    const same = old?.nodes.get(node.id);
    if (same === undefined || same.type !== node.type) {
      found.push({ graph, id: node.id, title: titled(node), kind: "added", values: [] });
      continue;
    }
    const values = compared(was.get(node.id) ?? {}, is.get(node.id) ?? {});
    if (values.length > 0) found.push({ graph, id: node.id, title: titled(node), kind: "changed", values });
    else if (looks(same) !== looks(node)) found.push({ graph, id: node.id, title: titled(node), kind: "moved", values: [] });
  }
  return found;
}

/** All that a node says, by name: values, where its links come from, its state and title. */
function readings(graph: Graph | undefined, titled: (node: GraphNode) => string): ReadonlyMap<NodeId, Readonly<Record<string, string>>> {
  const found = new Map<NodeId, Record<string, string>>();
  for (const node of graph?.nodes.values() ?? []) {
    const said: Record<string, string> = {};
    for (const [name, value] of Object.entries(node.values)) said[name] = shown(value);
    if (node.mode !== "always") said.mode = node.mode;
    if (node.title !== undefined) said.title = node.title;
    found.set(node.id, said);
  }
  for (const link of graph?.links.values() ?? []) {
    const from = graph?.nodes.get(link.from);
    const name = graph?.nodes.get(link.to)?.inputs[link.input]?.name;
    const said = found.get(link.to);
    if (from === undefined || name === undefined || said === undefined) continue;
    said[name] = `← ${titled(from)} · ${from.outputs[link.output]?.name ?? link.output}`;
  }
  return found;
}

function compared(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): readonly ValueChange[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => before[name] !== after[name])
    .map((name) => ({ name, before: before[name], after: after[name] }));
}

const looks = (node: GraphNode): string => text([node.x, node.y, node.width, node.height, node.collapsed, node.pinned, node.color]);
const text = (value: unknown): string => JSON.stringify(value);
const shown = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));

/** Marks on the nodes of the graph that shows both. Dark: the text on them is light in both themes. */
export const MARKS: Readonly<Record<ChangeKind, string>> = { added: "#1f4d31", removed: "#5c2529", changed: "#57430f", moved: "#263c55" };

/** The newer workflow with what was removed put back in, each node in the colour of what became of it. */
export function both(before: Workflow, after: Workflow, found: Differences): Workflow {
  const graphs = new Map<GraphId, Graph>();
  for (const id of new Set([...after.graphs.keys(), ...before.graphs.keys()])) {
    const old = before.graphs.get(id);
    const now = after.graphs.get(id);
    const base = (now ?? old)!;
    const kinds = new Map(found.nodes.filter((one) => one.graph === id).map((one) => [one.id, one.kind]));
    const nodes = new Map<NodeId, GraphNode>();
    for (const node of now?.nodes.values() ?? []) nodes.set(node.id, marked(node, kinds.get(node.id)));
    for (const node of old?.nodes.values() ?? []) {
      const place = nodes.has(node.id) ? ghost(node.id) : node.id;
      if (kinds.get(place) === "removed") nodes.set(place, { ...marked(node, "removed"), id: place });
    }
    const links = new Map(now?.links ?? []);
    for (const link of old?.links.values() ?? []) {
      const gone = !now?.nodes.has(link.from) || !now.nodes.has(link.to);
      if (gone && nodes.has(link.from) && nodes.has(link.to) && !occupied(links, link)) links.set(`${link.id}·before`, { ...link, id: `${link.id}·before` });
    }
    graphs.set(id, { ...base, nodes, links });
  }
  return { ...after, graphs };
}

const occupied = (links: ReadonlyMap<string, Link>, link: Link): boolean => [...links.values()].some((one) => one.to === link.to && one.input === link.input);

function marked(node: GraphNode, kind: ChangeKind | undefined): GraphNode {
  if (kind !== undefined) return { ...node, color: MARKS[kind] };
  const { color: _own, ...plain } = node;
  return plain;
}

/** Whether two graphs hold the very same records, in one order: most of what was taken over is as it was. */
function isSameGraph(one: Graph | undefined, other: Graph): boolean {
  if (one === undefined || one === other) return one === other;
  const { nodes, links, groups, ...facts } = one;
  const alike = <T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean => a.size === b.size && text([...a.keys()]) === text([...b.keys()]) && [...a].every(([id, value]) => b.get(id) === value || text(b.get(id)) === text(value));
  const { nodes: _nodes, links: _links, groups: _groups, ...others } = other;
  return text(facts) === text(others) && alike(nodes, other.nodes) && alike(links, other.links) && alike(groups, other.groups);
}

/** The command that makes one workflow of another, so that a restored version can be undone as any other step. */
export function commandTo(now: Workflow, wanted: Workflow): Command {
  const gone = [...now.graphs.keys()].filter((id) => id !== ROOT && !wanted.graphs.has(id));
  const digits = Object.keys({ ...now.bookmarks, ...wanted.bookmarks }).filter((digit) => text(now.bookmarks?.[digit]) !== text(wanted.bookmarks?.[digit]));
  return {
    do: "several",
    commands: [
      ...[...wanted.graphs.values()].filter((graph) => !isSameGraph(now.graphs.get(graph.id), graph)).map((definition) => ({ do: "putGraph", definition }) as const),
      ...gone.map((graph) => ({ do: "removeGraph", graph }) as const),
      { do: "setForm", form: wanted.form },
      ...digits.map((digit) => ({ do: "setBookmark", digit, to: wanted.bookmarks?.[digit] ?? null }) as const),
    ],
  };
}
