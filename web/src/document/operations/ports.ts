/** The interface of a subgraph: inputs and outputs promoted, renamed, taken away, in the definition and all instances. */
import { linkIndex } from "../adjacency";
import { several } from "../commands";
import { freeIds } from "../nodes";
import {
  INPUTS,
  OUTPUTS,
  ROOT,
  type Command,
  type Graph,
  type GraphId,
  type GraphNode,
  type InputSpec,
  type Link,
  type NodeId,
  type Slot,
  type Workflow,
} from "../types";
import { freeName, instancesOf, OperationError } from "./subgraphs";

export type Side = "inputs" | "outputs";

/** Shows an input of an inner node outside. A widget keeps its value, which instances hold from then on. */
export function promoteInput(
  workflow: Workflow,
  definition: GraphId,
  inner: NodeId,
  input: string,
  spec?: InputSpec,
): { command: Command; name: string } {
  const graph = workflow.graphs.get(definition)!;
  const node = graph.nodes.get(inner)!;
  let place = node.inputs.findIndex((slot) => slot.name === input);
  if (place < 0 && spec === undefined) throw new OperationError(`the node has no input "${input}"`);
  if (place >= 0 && linkIndex(graph.links).into(inner, place) !== undefined)
    throw new OperationError(`the input "${input}" is linked already`);
  const nodes = new Map(graph.nodes);
  if (place < 0) {
    place = node.inputs.length;
    const slot: Slot = { name: input, type: spec!.type, ...(spec!.widget && { widget: input }) };
    nodes.set(inner, { ...node, inputs: [...node.inputs, slot] });
  }
  const slot = nodes.get(inner)!.inputs[place]!;
  const name = freeName(slot.name || slot.type.toLowerCase(), graph.inputs);
  const link: Link = {
    id: freeIds(graph.links.keys())(),
    from: INPUTS,
    output: graph.inputs.length,
    to: inner,
    input: place,
    type: slot.type,
  };
  const next: Graph = {
    ...graph,
    nodes,
    links: new Map(graph.links).set(link.id, link),
    inputs: [...graph.inputs, { name, type: slot.type }],
  };
  const port: Slot = { name, type: slot.type, ...(slot.widget !== undefined && { widget: name }) };
  const value = slot.widget === undefined ? undefined : node.values[slot.widget];
  const commands = instancesOf(workflow, definition).flatMap(([at, instance]): Command[] => [
    { do: "updateNode", graph: at, id: instance.id, set: { inputs: [...instance.inputs, port] } },
    ...(value !== undefined ? [{ do: "setValue", graph: at, id: instance.id, input: name, value } as const] : []),
  ]);
  return { command: several([{ do: "putGraph", definition: next }, ...commands]), name };
}

/** Shows an output of an inner node outside. */
export function promoteOutput(
  workflow: Workflow,
  definition: GraphId,
  inner: NodeId,
  output: number,
): { command: Command; name: string } {
  const graph = workflow.graphs.get(definition)!;
  const slot = graph.nodes.get(inner)!.outputs[output]!;
  const name = freeName(slot.name || slot.type.toLowerCase(), graph.outputs);
  const port: Slot = { name, type: slot.type };
  const link: Link = {
    id: freeIds(graph.links.keys())(),
    from: inner,
    output,
    to: OUTPUTS,
    input: graph.outputs.length,
    type: slot.type,
  };
  const next: Graph = { ...graph, links: new Map(graph.links).set(link.id, link), outputs: [...graph.outputs, port] };
  const commands = instancesOf(workflow, definition).map(([at, instance]): Command => ({
    do: "updateNode",
    graph: at,
    id: instance.id,
    set: { outputs: [...instance.outputs, port] },
  }));
  return { command: several([{ do: "putGraph", definition: next }, ...commands]), name };
}

/** Takes an input or output of a subgraph away, with the links to it. What instances held goes back inside nowhere. */
export function removePort(workflow: Workflow, definition: GraphId, side: Side, name: string): Command {
  const graph = workflow.graphs.get(definition)!;
  const place = graph[side].findIndex((slot) => slot.name === name);
  if (place < 0) throw new OperationError(`the subgraph has no ${side === "inputs" ? "input" : "output"} "${name}"`);
  const [end, key] = side === "inputs" ? ([INPUTS, "output"] as const) : ([OUTPUTS, "input"] as const);
  const links = new Map<string, Link>();
  for (const link of graph.links.values()) {
    const touches = side === "inputs" ? link.from === end : link.to === end;
    if (touches && link[key] === place) continue;
    links.set(link.id, touches && link[key] > place ? { ...link, [key]: link[key] - 1 } : link);
  }
  const next: Graph = { ...graph, links, [side]: graph[side].filter((_, at) => at !== place) };
  const commands = instancesOf(workflow, definition).flatMap(([at, instance]) =>
    withoutSlot(workflow.graphs.get(at)!, instance, side, name),
  );
  const here = new Set(instancesOf(workflow, definition).flatMap(([at, node]) => (at === ROOT ? node.id : [])));
  const form = side === "outputs" ? workflow.form : workflow.form.filter((one) => one.input !== name || !here.has(one.node));
  const left: readonly Command[] = form.length < workflow.form.length ? [{ do: "setForm", form }] : [];
  return several([...commands, { do: "putGraph", definition: next }, ...left]);
}

/**
 * What people call an input or output, inside and at every instance; its name stays, as in the ecosystem's files, since
 * values, links and other subgraphs go by it. An empty text takes the label away.
 */
export function renamePort(
  workflow: Workflow,
  definition: GraphId,
  side: Side,
  name: string,
  wanted: string,
): Command {
  const graph = workflow.graphs.get(definition)!;
  const label = wanted.trim();
  const renamed = (slots: readonly Slot[]): readonly Slot[] =>
    slots.map((slot) => {
      if (slot.name !== name) return slot;
      const { label: _label, ...rest } = slot;
      return label === "" || label === name ? rest : { ...rest, label };
    });
  const commands = instancesOf(workflow, definition).map(([at, node]): Command => ({
    do: "updateNode",
    graph: at,
    id: node.id,
    set: side === "inputs" ? { inputs: renamed(node.inputs) } : { outputs: renamed(node.outputs) },
  }));
  return several([{ do: "putGraph", definition: { ...graph, [side]: renamed(graph[side]) } }, ...commands]);
}

/** Puts an input or output of a subgraph at another place among its like, in every instance too; links stay with it. */
export function movePort(workflow: Workflow, definition: GraphId, side: Side, from: number, to: number): Command {
  const graph = workflow.graphs.get(definition)!;
  const slots = [...graph[side]];
  const [moved] = slots.splice(from, 1);
  if (moved === undefined || from === to) return several([]);
  slots.splice(to, 0, moved);
  const [end, far, key] = side === "inputs" ? ([INPUTS, "from", "output"] as const) : ([OUTPUTS, "to", "input"] as const);
  const links = new Map(graph.links);
  for (const link of graph.links.values()) {
    if (link[far] !== end) continue;
    const place = slots.indexOf(graph[side][link[key]]!);
    if (place !== link[key]) links.set(link.id, { ...link, [key]: place });
  }
  const order = slots.map((slot) => slot.name);
  const commands = instancesOf(workflow, definition).flatMap(([at, instance]) =>
    reordered(workflow.graphs.get(at)!, instance, side, order),
  );
  return several([{ do: "putGraph", definition: { ...graph, links, [side]: slots } }, ...commands]);
}

/** Brings those slots of an instance into an order that the subgraph has; others stay where they are. */
function reordered(graph: Graph, node: GraphNode, side: Side, order: readonly string[]): Command[] {
  const slots = node[side];
  const places = slots.flatMap((slot, place) => (order.includes(slot.name) ? [place] : []));
  const sorted = places.toSorted((one, other) => order.indexOf(slots[one]!.name) - order.indexOf(slots[other]!.name));
  const now = new Map(sorted.map((old, at) => [old, places[at]!]));
  if ([...now].every(([old, place]) => old === place)) return [];
  const next = [...slots];
  for (const [old, place] of now) next[place] = slots[old]!;
  const key = side === "inputs" ? "input" : "output";
  const adjacent = linkIndex(graph.links).of(node.id);
  const touching = (side === "inputs" ? adjacent.in : adjacent.out).filter((link) => (now.get(link[key]) ?? link[key]) !== link[key]);
  const moved = touching.map((link) => ({ ...link, [key]: now.get(link[key])! }));
  return [
    { do: "removeLinks", graph: graph.id, ids: touching.map((link) => link.id) },
    { do: "updateNode", graph: graph.id, id: node.id, set: side === "inputs" ? { inputs: next } : { outputs: next } },
    ...(moved.length > 0 ? [{ do: "addLinks", graph: graph.id, links: moved } as const] : []),
  ];
}

/** Commands that take a slot from a node: links behind it move up. */
function withoutSlot(graph: Graph, node: GraphNode, side: Side, name: string): Command[] {
  const place = node[side].findIndex((slot) => slot.name === name);
  if (place < 0) return [];
  const key = side === "inputs" ? "input" : "output";
  const adjacent = linkIndex(graph.links).of(node.id);
  const touching = side === "inputs" ? adjacent.in : adjacent.out;
  const moved = touching.filter((link) => link[key] > place).map((link) => ({ ...link, [key]: link[key] - 1 }));
  const slots = node[side].filter((_, at) => at !== place);
  const commands: Command[] = [
    { do: "removeLinks", graph: graph.id, ids: touching.filter((link) => link[key] >= place).map((link) => link.id) },
    { do: "updateNode", graph: graph.id, id: node.id, set: side === "inputs" ? { inputs: slots } : { outputs: slots } },
    ...(moved.length > 0 ? [{ do: "addLinks", graph: graph.id, links: moved } as const] : []),
  ];
  if (side === "inputs" && node.values[name] !== undefined)
    commands.push({ do: "setValue", graph: graph.id, id: node.id, input: name, value: undefined });
  return commands;
}
