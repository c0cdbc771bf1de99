/** Subgraphs: made of nodes, taken apart, and what of the inside shows outside. */
import { linkIndex } from "../adjacency";
import { several } from "../commands";
import { withEntry } from "../json";
import { freeIds, NODE_WIDTH } from "../nodes";
import { proxiesOf, proxyName } from "../read/instances";
import {
  INPUTS,
  OUTPUTS,
  ROOT,
  type Command,
  type Graph,
  type GraphId,
  type GraphNode,
  type Json,
  type Link,
  type NodeId,
  type Slot,
  type Workflow,
} from "../types";
import { bounds } from "./arrange";

/** What keeps an operation from being done, in words for the user. */
export class OperationError extends Error {
  override readonly name = "OperationError";
}

/** An id like those of the ecosystem's definitions; also where a page is not served securely. */
export function newDefinitionId(): GraphId {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 15) | 64;
  bytes[8] = (bytes[8]! & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Makes a subgraph of nodes and puts one instance in their place. Raises `OperationError` when that changed what runs. */
export function toSubgraph(
  workflow: Workflow,
  graphId: GraphId,
  ids: Iterable<NodeId>,
  name: string,
): { command: Command; instance: NodeId; definition: GraphId } {
  const graph = workflow.graphs.get(graphId)!;
  const chosen = new Set([...ids].filter((id) => graph.nodes.has(id)));
  if (chosen.size === 0) throw new OperationError("no node is selected");
  checkNamedWires(graph, chosen);
  const nodes = [...graph.nodes.values()].filter((node) => chosen.has(node.id));
  const links = [...graph.links.values()].filter((link) => chosen.has(link.from) || chosen.has(link.to));
  const entering = new Ports();
  const leaving = new Ports();
  const inner: Link[] = [];
  const outer: Link[] = [];
  const instance = freeIds(graph.nodes.keys())();
  const outerId = freeIds(graph.links.keys());
  for (const link of links) {
    const { extra: _extra, ...plain } = link;
    if (chosen.has(link.from) && chosen.has(link.to)) inner.push(link);
    else if (chosen.has(link.to)) {
      const slot = graph.nodes.get(link.to)!.inputs[link.input]!;
      const { place, fresh } = entering.of(link, slot);
      if (fresh)
        outer.push({
          id: outerId(),
          from: link.from,
          output: link.output,
          to: instance,
          input: place,
          type: link.type,
        });
      inner.push({ ...plain, from: INPUTS, output: place });
    } else {
      const slot = graph.nodes.get(link.from)!.outputs[link.output]!;
      const { place, fresh } = leaving.of(link, slot);
      if (fresh) inner.push({ ...plain, to: OUTPUTS, input: place });
      outer.push({ id: outerId(), from: instance, output: place, to: link.to, input: link.input, type: link.type });
    }
  }
  const groups = [...graph.groups.values()].filter(
    (group) => group.members.length > 0 && group.members.every((id) => chosen.has(id)),
  );
  const id = newDefinitionId();
  const definition: Graph = {
    id,
    name,
    nodes: new Map(nodes.map((node) => [node.id, node])),
    links: new Map(inner.map((link) => [link.id, link])),
    groups: new Map(groups.map((group) => [group.id, group])),
    inputs: entering.slots.map(({ widget: _widget, ...slot }) => slot),
    outputs: leaving.slots,
  };
  const box = bounds(nodes);
  const node: GraphNode = {
    id: instance,
    type: id,
    mode: "always",
    values: {},
    inputs: entering.slots.map((slot) => (slot.widget === undefined ? slot : { ...slot, widget: slot.name })),
    outputs: leaving.slots,
    x: Math.round(box.x + (box.width - NODE_WIDTH) / 2),
    y: Math.round(box.y + box.height / 3),
    width: NODE_WIDTH,
    height: null,
    title: name,
  };
  const commands: Command[] = [
    { do: "putGraph", definition },
    { do: "removeNodes", graph: graphId, ids: [...chosen] },
    ...(groups.length > 0
      ? [{ do: "removeGroups", graph: graphId, ids: groups.map((group) => group.id) } as const]
      : []),
    { do: "addNodes", graph: graphId, nodes: [node] },
    ...(outer.length > 0 ? [{ do: "addLinks", graph: graphId, links: outer } as const] : []),
  ];
  return { command: several(commands), instance, definition: id };
}

/** One port for each output that links come from, named after the slot and told apart by number. */
class Ports {
  readonly slots: Slot[] = [];
  private readonly places = new Map<string, number>();

  of(link: Link, slot: Slot): { place: number; fresh: boolean } {
    const key = `${link.from} ${link.output}`;
    const known = this.places.get(key);
    if (known !== undefined) return { place: known, fresh: false };
    const place = this.slots.length;
    this.places.set(key, place);
    const name = freeName(slot.name || link.type.toLowerCase(), this.slots);
    this.slots.push({ name, type: link.type, ...(slot.widget !== undefined && { widget: name }) });
    return { place, fresh: true };
  }
}

export function freeName(wanted: string, slots: readonly Slot[]): string {
  const taken = new Set(slots.map((slot) => slot.name));
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted} ${number}`;
  return name;
}

/** Wires by name (Set and Get nodes) reach no further than their own graph. */
function checkNamedWires(graph: Graph, chosen: ReadonlySet<NodeId>): void {
  const sides = new Map<string, boolean>();
  for (const node of graph.nodes.values()) {
    if (node.type !== "SetNode" && node.type !== "GetNode") continue;
    const name = String(Object.values(node.values)[0]);
    const inside = chosen.has(node.id);
    if (sides.has(name) && sides.get(name) !== inside)
      throw new OperationError(`the wire named "${name}" would be cut: select all of its Set and Get nodes, or none`);
    sides.set(name, inside);
  }
}

/** Puts what is inside an instance in its place. */
export function unpack(workflow: Workflow, graphId: GraphId, id: NodeId): { command: Command; ids: readonly NodeId[] } {
  const graph = workflow.graphs.get(graphId)!;
  const instance = graph.nodes.get(id)!;
  const definition = workflow.graphs.get(instance.type);
  if (definition === undefined || definition.id === ROOT) throw new OperationError("the node is no subgraph");
  const renamed = new Map<NodeId, NodeId>();
  const fresh = freeIds([...graph.nodes.keys(), ...definition.nodes.keys()]);
  for (const inner of definition.nodes.keys())
    renamed.set(inner, graph.nodes.has(inner) && inner !== id ? fresh() : inner);
  const set = valuesInside(instance, definition);
  const box = bounds([...definition.nodes.values()]);
  const [dx, dy] = [Math.round(instance.x - box.x), Math.round(instance.y - box.y)];
  const index = linkIndex(graph.links);
  const linkId = freeIds([...graph.links.keys(), ...definition.links.keys()]);
  const links: Link[] = [];
  const add = (from: NodeId, output: number, to: NodeId, input: number, like: Link) => {
    const kept = graph.links.has(like.id) || links.some((link) => link.id === like.id) ? linkId() : like.id;
    links.push({ id: kept, from, output, to, input, type: like.type });
  };
  const outside = (port: number): Link | undefined => {
    const slot = instance.inputs.findIndex((one) => one.name === definition.inputs[port]?.name);
    return slot < 0 ? undefined : index.into(id, slot);
  };
  for (const link of definition.links.values()) {
    const source = link.from === INPUTS ? outside(link.output) : undefined;
    const from = link.from === INPUTS ? source?.from : renamed.get(link.from);
    if (from === undefined) continue;
    const output = source?.output ?? link.output;
    if (link.to !== OUTPUTS) add(from, output, renamed.get(link.to)!, link.input, link);
    else
      for (const out of index.of(id).out)
        if (out.output === link.input) add(from, output, out.to, out.input, { ...out, type: link.type });
  }
  const nodes = [...definition.nodes.values()].map((node) => ({
    ...node,
    id: renamed.get(node.id)!,
    x: node.x + dx,
    y: node.y + dy,
    values: { ...node.values, ...set.get(node.id) },
    mode: instance.mode === "always" ? node.mode : instance.mode,
  }));
  const groupId = freeIds([...graph.groups.keys(), ...definition.groups.keys()]);
  const groups = [...definition.groups.values()].map((group) => ({
    ...group,
    id: graph.groups.has(group.id) ? groupId() : group.id,
    x: group.x + dx,
    y: group.y + dy,
    members: group.members.map((one) => renamed.get(one)!),
  }));
  const commands: Command[] = [
    { do: "removeNodes", graph: graphId, ids: [id] },
    { do: "addNodes", graph: graphId, nodes },
    ...(links.length > 0 ? [{ do: "addLinks", graph: graphId, links } as const] : []),
    ...(groups.length > 0 ? [{ do: "putGroups", graph: graphId, groups } as const] : []),
    ...(instancesOf(workflow, definition.id).length === 1
      ? [{ do: "removeGraph", graph: definition.id } as const]
      : []),
  ];
  return { command: several(commands), ids: [...renamed.values()] };
}

/** What an instance sets inside, by inner node. */
function valuesInside(instance: GraphNode, definition: Graph): Map<NodeId, Record<string, Json>> {
  const found = new Map<NodeId, Record<string, Json>>();
  const set = (inner: NodeId, name: string, value: Json | undefined) => {
    if (value === undefined || value === null || !definition.nodes.has(inner)) return;
    let values = found.get(inner);
    if (values === undefined) found.set(inner, (values = {}));
    withEntry(values, name, value);
  };
  for (const link of definition.links.values()) {
    const slot = definition.nodes.get(link.to)?.inputs[link.input];
    // An inner instance holds the value under the name of its own input.
    const name = slot?.widget ?? (definition.nodes.get(link.to) !== undefined ? slot?.name : undefined);
    const port = link.from === INPUTS ? definition.inputs[link.output]?.name : undefined;
    if (port !== undefined && name !== undefined) set(link.to, name, instance.values[port]);
  }
  for (const [inner, widget] of proxiesOf(instance)) {
    const node = definition.nodes.get(inner);
    const nested =
      node === undefined
        ? undefined
        : proxiesOf(node).find(([, one]) => one === widget || one === widget.slice(widget.lastIndexOf(": ") + 2));
    set(inner, nested === undefined ? widget : proxyName(...nested), instance.values[proxyName(inner, widget)]);
  }
  return found;
}

export function instancesOf(workflow: Workflow, definition: GraphId): readonly (readonly [GraphId, GraphNode])[] {
  return [...workflow.graphs.values()].flatMap((graph) =>
    [...graph.nodes.values()].filter((node) => node.type === definition).map((node) => [graph.id, node] as const),
  );
}
