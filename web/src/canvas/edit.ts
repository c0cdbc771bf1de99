import {
  INPUTS, OUTPUTS, type Command, type Document, type Graph, type GraphId, type GraphNode, type Link, type LinkId, type NodeId, type Slot,
} from "../document/types";
import { several } from "../document/commands";
import { along, copiedBends, type Way } from "../document/operations/bends";
import { removeKeepingLinks } from "../document/operations/links";
import { compatible } from "../document/typeRules";
import type { PortRef } from "./hit";
import { above, below } from "./rules";
import type { Scene } from "./scene";
import { say } from "./text";

/** Gives ids that a map does not have yet: numbers, as the ecosystem's files want them. */
export function freshIds(taken: ReadonlyMap<string, unknown>, count: number): string[] {
  let highest = 0;
  for (const id of taken.keys()) {
    const number = Number(id);
    if (Number.isSafeInteger(number) && number > highest) highest = number;
  }
  return Array.from({ length: count }, (_, n) => String(highest + 1 + n));
}

/** Applies commands as one step; links that they make go the given way. */
export function apply(document: Document, commands: readonly Command[], label: string, way?: Way): void {
  if (commands.length > 0) document.apply(along(several(commands), way), label);
}

export const isBorder = (id: NodeId): boolean => id === INPUTS || id === OUTPUTS;

/** Moves nodes, and borders of a subgraph among them. */
export function moveCommands(graph: GraphId, to: readonly { readonly id: NodeId; readonly x: number; readonly y: number }[]): Command[] {
  const nodes = to.filter(({ id }) => !isBorder(id));
  const borders = to.filter(({ id }) => isBorder(id));
  return [
    ...(nodes.length > 0 ? [{ do: "moveNodes", graph, to: nodes } as const] : []),
    ...borders.map(({ id, x, y }): Command => ({ do: "placeBorder", graph, border: id === INPUTS ? "inputs" : "outputs", at: { x, y } })),
  ];
}

/** The slot a port stands for; one without a slot gives the slot it would get. */
export function slotOf(scene: Scene, port: PortRef): Slot | undefined {
  const i = scene.index.get(port.node);
  const node = i === undefined ? undefined : scene.records[i];
  if (i === undefined || node === undefined) return undefined;
  if (port.side === "output") return node.outputs[port.index];
  if (port.index >= 0) return node.inputs[port.index];
  const spec = scene.layouts[i]?.loose[-1 - port.index]?.spec;
  return spec === undefined ? undefined : { name: spec.name, type: spec.type, ...(spec.widget && { widget: spec.name }) };
}

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Says whether two ports may be linked, and if not, why.  */
export function verdict(scene: Scene, a: PortRef, b: PortRef): Verdict {
  const no = (reason: string): Verdict => ({ ok: false, reason });
  if (a.side === b.side) return no(say("canvas.sameSide", "A link runs from an output to an input"));
  const [from, to] = a.side === "output" ? [a, b] : [b, a];
  if (from.node === to.node) return no(say("canvas.ownNode", "A node cannot feed itself"));
  const source = slotOf(scene, from);
  const target = slotOf(scene, to);
  if (source === undefined || target === undefined) return no(say("canvas.noPort", "This port is gone"));
  if (!compatible(source.type, target.type)) {
    return no(say("canvas.otherType", "{from} does not fit {to}", { from: source.type, to: target.type }));
  }
  if (below(scene.document, scene.graphId, to.node).has(from.node)) {
    return no(say("canvas.cycle", "This would close a circle: the node already feeds what you drag from"));
  }
  return { ok: true };
}

/** Commands that link two ports: what the input had before goes, and a widget gets the slot it needs. */
export function linkCommands(scene: Scene, a: PortRef, b: PortRef): Command[] {
  const { document, graphId: graph } = scene;
  const [from, to] = a.side === "output" ? [a, b] : [b, a];
  const source = slotOf(scene, from);
  const target = slotOf(scene, to);
  const node = document.node(graph, to.node);
  if (source === undefined || target === undefined) return [];
  const commands: Command[] = [];
  let input = to.index;
  if (input < 0) {
    if (node === undefined) return [];
    input = node.inputs.length;
    commands.push({ do: "updateNode", graph, id: to.node, set: { inputs: [...node.inputs, target] } });
  }
  const old = document.linksOf(graph, to.node).in.filter((link) => link.input === input);
  if (old.some((link) => link.from === from.node && link.output === from.index)) return [];
  if (old.length > 0) commands.push({ do: "removeLinks", graph, ids: old.map((link) => link.id) });
  const [id] = freshIds(document.graph(graph).links, 1);
  const type = source.type === "*" ? target.type : source.type;
  commands.push({
    do: "addLinks", graph,
    links: [{ id: id as LinkId, from: from.node, output: from.index, to: to.node, input, type }],
  });
  const origin = document.node(graph, from.node);
  const value = target.widget === undefined ? undefined : node?.values[target.widget];
  // A primitive takes over what the widget that it is first wired to holds.
  if (origin?.type === "PrimitiveNode" && origin.values["value"] === undefined && value !== undefined)
    commands.push({ do: "setValue", graph, id: origin.id, input: "value", value });
  return commands;
}

/** The first port of a node that a dragged port fits: free inputs before linked ones, sockets before widgets. */
export function fittingPort(scene: Scene, from: PortRef, id: NodeId): PortRef | undefined {
  const i = scene.index.get(id);
  const node = i === undefined ? undefined : scene.records[i];
  if (i === undefined || node === undefined) return undefined;
  if (from.side === "input") {
    const index = node.outputs.findIndex((_, n) => verdict(scene, from, { node: id, side: "output", index: n }).ok);
    return index < 0 ? undefined : { node: id, side: "output", index };
  }
  const taken = new Set(scene.document.linksOf(scene.graphId, id).in.map((link) => link.input));
  const loose = scene.layouts[i]?.loose.flatMap(({ spec }, n) => (spec.widget ? [] : [-1 - n])) ?? [];
  const ports = [...node.inputs.keys(), ...loose].map((index): PortRef => ({ node: id, side: "input", index }));
  const cost = (port: PortRef): number => (taken.has(port.index) ? 2 : 0) + (node.inputs[port.index]?.widget === undefined ? 0 : 1);
  return ports.filter((port) => verdict(scene, from, port).ok).toSorted((a, b) => cost(a) - cost(b))[0];
}

/** Every port that the given one may be linked to, for the keyboard's list and for marking. */
export function partners(scene: Scene, from: PortRef): PortRef[] {
  const found: PortRef[] = [];
  const source = slotOf(scene, from);
  if (source === undefined) return found;
  const side = from.side === "output" ? "input" : "output";
  // The set is made once for all: asking for a cycle port by port would be quadratic.
  const banned = from.side === "output" ? above(scene.document, scene.graphId, from.node) : below(scene.document, scene.graphId, from.node);
  for (let i = 0; i < scene.count; i++) {
    const node = scene.records[i] as GraphNode;
    if (banned.has(node.id)) continue;
    (side === "input" ? node.inputs : node.outputs).forEach((slot, index) => {
      if (side === "input" ? compatible(source.type, slot.type) : compatible(slot.type, source.type)) found.push({ node: node.id, side, index });
    });
    if (side === "output") continue;
    scene.layouts[i]?.loose.forEach(({ spec }, n) => {
      if ((source.type !== "*" || !spec.widget) && compatible(source.type, spec.type)) found.push({ node: node.id, side, index: -1 - n });
    });
  }
  return found;
}

/** Commands that copy nodes with the links among them; gives the ids of the copies. */
export function cloneCommands(document: Document, graphId: GraphId, ids: readonly NodeId[], dx: number, dy: number): { commands: Command[]; ids: NodeId[] } {
  const graph = document.graph(graphId);
  const nodes = ids.map((id) => graph.nodes.get(id)).filter((node) => node !== undefined);
  const names = freshIds(graph.nodes, nodes.length);
  const copyOf = new Map(nodes.map((node, n) => [node.id, names[n] as NodeId]));
  const inner: Link[] = nodes.flatMap((node) => document.linksOf(graphId, node.id).in.filter((link) => copyOf.has(link.from)));
  const linkNames = freshIds(graph.links, inner.length);
  const commands: Command[] = [
    { do: "addNodes", graph: graphId, nodes: nodes.map((node) => ({ ...node, id: copyOf.get(node.id) as NodeId, x: node.x + dx, y: node.y + dy })) },
  ];
  if (inner.length > 0) {
    const bendsOf = copiedBends(graph, dx, dy);
    const links = inner.map(({ bends, ...link }, n) => ({
      ...link, id: linkNames[n] as LinkId, from: copyOf.get(link.from) as NodeId, to: copyOf.get(link.to) as NodeId, ...(bends && { bends: bendsOf(bends)! }),
    }));
    commands.push({ do: "addLinks", graph: graphId, links });
  }
  return { commands, ids: names };
}

/**
 * Commands that take away what is selected: nodes, links, groups. What came into a node goes on to who took the same
 * type from it, as if it were bypassed, unless links are `cut` or among what is selected.
 */
export function deleteCommands(graph: Graph, selected: { nodes: ReadonlySet<NodeId>; links: ReadonlySet<LinkId>; groups: ReadonlySet<string> }, cut = false): Command[] {
  const commands: Command[] = [];
  const nodes = [...selected.nodes].filter((id) => id !== INPUTS && id !== OUTPUTS && graph.nodes.has(id));
  const links = [...selected.links].filter((id) => {
    const link = graph.links.get(id);
    return link !== undefined && !selected.nodes.has(link.from) && !selected.nodes.has(link.to);
  });
  const groups = [...selected.groups].filter((id) => graph.groups.has(id));
  if (links.length > 0) commands.push({ do: "removeLinks", graph: graph.id, ids: links });
  if (nodes.length > 0) commands.push(cut || links.length > 0 ? { do: "removeNodes", graph: graph.id, ids: nodes } : removeKeepingLinks(graph, nodes));
  if (groups.length > 0) commands.push({ do: "removeGroups", graph: graph.id, ids: groups });
  return commands;
}
