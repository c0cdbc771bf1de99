/** A workflow as single facts that can be taken one by one from one version into another, and put together again. */
import { ROOT, type FormField, type Graph, type GraphId, type GraphNode, type Group, type Json, type Link, type NodeId, type Workflow } from "../../document/types";

/** One fact: what it is about, and the record or value that says it. Equal texts are equal facts. */
export interface Atom {
  readonly kind: "graph" | "node" | "field" | "value" | "link" | "group" | "form";
  readonly graph: GraphId;
  /** The node or group it is of; "" for graphs and the form. */
  readonly id: string;
  /** The input's or the field's name; "" where there is only one. */
  readonly name: string;
  readonly holds: unknown;
  readonly text: string;
}
export type Key = string;
export type Atoms = ReadonlyMap<Key, Atom>;

/** Fields that are taken one by one; a place and a size go together. */
const FIELDS: Readonly<Record<string, readonly (keyof GraphNode)[]>> = { mode: ["mode"], title: ["title"], place: ["x", "y"], size: ["width", "height"], collapsed: ["collapsed"], pinned: ["pinned"], color: ["color"] };
const OWN = new Set<string>(["values", ...Object.values(FIELDS).flat()]);

export const keyOf = (kind: Atom["kind"], graph: GraphId, id = "", name = ""): Key => JSON.stringify([kind, graph, id, name]);

export function atomsOf(workflow: Workflow): Atoms {
  const found = new Map<Key, Atom>();
  const add = (kind: Atom["kind"], graph: GraphId, id: string, name: string, holds: unknown, says: unknown = holds): void => void found.set(keyOf(kind, graph, id, name), { kind, graph, id, name, holds, text: JSON.stringify(says) ?? "" });
  for (const graph of workflow.graphs.values()) {
    const { nodes, links, groups, ...facts } = graph;
    add("graph", graph.id, "", "", facts);
    for (const node of nodes.values()) {
      const rest = Object.entries(node).filter(([name]) => !OWN.has(name));
      add("node", graph.id, node.id, "", node, rest);
      for (const [name, fields] of Object.entries(FIELDS)) {
        const holds = Object.fromEntries(fields.map((field) => [field, node[field]]));
        if (Object.values(holds).some((one) => one !== undefined)) add("field", graph.id, node.id, name, holds);
      }
      for (const [name, value] of Object.entries(node.values)) add("value", graph.id, node.id, name, value);
    }
    for (const link of links.values()) {
      const { id: _own, ...path } = link; // two editors give one link two ids
      add("link", graph.id, link.to, inputOf(graph, link), link, path);
    }
    for (const group of groups.values()) add("group", graph.id, group.id, "", group);
  }
  add("form", ROOT, "", "", workflow.form);
  return found;
}

/** The name of the input that a link goes to: places among inputs differ where nodes grow inputs. */
const inputOf = (graph: Graph, link: Link): string => graph.nodes.get(link.to)?.inputs[link.input]?.name ?? `#${link.input}`;

/** Put facts together again; what hangs on a node or graph that is not there is left out. `like` gives the order and all that is in no fact. */
export function workflowOf(atoms: Atoms, like: Workflow): Workflow {
  const graphs = new Map<GraphId, Graph>();
  const all = [...atoms.values()];
  const of = (kind: Atom["kind"]): readonly Atom[] => all.filter((one) => one.kind === kind);
  const nodes = new Map<GraphId, Map<NodeId, GraphNode>>();
  for (const one of of("graph")) {
    nodes.set(one.graph, new Map());
    graphs.set(one.graph, { ...(one.holds as Graph), nodes: new Map(), links: new Map(), groups: new Map() });
  }
  const places = new Map([...like.graphs.values()].flatMap((graph) => [...graph.nodes.keys()].map((id, at) => [keyOf("node", graph.id, id), at] as const)));
  const place = (one: Atom): number => places.get(keyOf("node", one.graph, one.id)) ?? Number.MAX_SAFE_INTEGER;
  for (const one of [...of("node")].sort((a, b) => place(a) - place(b))) {
    const bare = Object.fromEntries(Object.entries(one.holds as GraphNode).filter(([name]) => !OWN.has(name)));
    nodes.get(one.graph)?.set(one.id, { ...(bare as unknown as GraphNode), values: {} });
  }
  for (const one of of("field")) change(nodes, one, (node) => ({ ...node, ...defined(one.holds as Partial<GraphNode>) }));
  for (const one of of("value")) change(nodes, one, (node) => ({ ...node, values: { ...node.values, [one.name]: one.holds as Json } }));
  for (const graph of graphs.values()) {
    const own = nodes.get(graph.id)!;
    const before = like.graphs.get(graph.id);
    for (const [id, node] of own) {
      const same = before?.nodes.get(id);
      if (same !== undefined && isLike(same, node)) own.set(id, same);
    }
    const links = linksOf(all.filter((one) => one.kind === "link" && one.graph === graph.id), own, graph);
    const groups = new Map<string, Group>();
    for (const one of of("group")) {
      const group = one.holds as Group;
      if (one.graph === graph.id) groups.set(one.id, { ...group, members: group.members.filter((id) => own.has(id)) });
    }
    graphs.set(graph.id, { ...graph, nodes: own, links, groups });
  }
  const form = (atoms.get(keyOf("form", ROOT))?.holds ?? []) as readonly FormField[];
  return { ...like, graphs, form: form.filter((field) => nodes.get(ROOT)?.has(field.node)) };
}

function change(nodes: ReadonlyMap<GraphId, Map<NodeId, GraphNode>>, one: Atom, make: (node: GraphNode) => GraphNode): void {
  const node = nodes.get(one.graph)?.get(one.id);
  if (node !== undefined) nodes.get(one.graph)!.set(one.id, make(node));
}

const defined = <T extends object>(record: T): Partial<T> => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Partial<T>;

/** Whether two nodes say the same, whatever the order of what they say. */
function isLike(one: GraphNode, other: GraphNode): boolean {
  const sorted = (value: unknown): unknown =>
    value !== null && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)])) : value;
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

const BORDERS = new Set(["-10", "-20"]);

function linksOf(atoms: readonly Atom[], nodes: ReadonlyMap<NodeId, GraphNode>, graph: Graph): ReadonlyMap<string, Link> {
  const links = new Map<string, Link>();
  let next = 1;
  for (const one of atoms) {
    const link = one.holds as Link;
    const target = nodes.get(link.to);
    const named = one.name.startsWith("#") ? link.input : (target?.inputs.findIndex((input) => input.name === one.name) ?? -1);
    const from = nodes.get(link.from);
    const ends = (from !== undefined ? link.output < from.outputs.length : link.from === "-10" && link.output < graph.inputs.length) && (target !== undefined ? named >= 0 : BORDERS.has(link.to));
    if (!ends) continue;
    while (links.has(String(next))) next += 1;
    const id = links.has(link.id) ? String(next) : link.id;
    links.set(id, { ...link, id, input: named < 0 ? link.input : named });
  }
  return links;
}
