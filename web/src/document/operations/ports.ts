/** The interface of a subgraph: inputs and outputs promoted, renamed, taken away, in the definition and all instances. */
import { linkIndex } from "../adjacency";
import { several } from "../commands";
import { freeIds } from "../nodes";
import {
  INPUTS,
  OUTPUTS,
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
export function removePort(workflow: Workflow, definition: GraphId, side: "inputs" | "outputs", name: string): Command {
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
  return several([...commands, { do: "putGraph", definition: next }]);
}

export function renamePort(
  workflow: Workflow,
  definition: GraphId,
  side: "inputs" | "outputs",
  from: string,
  wanted: string,
): Command {
  const graph = workflow.graphs.get(definition)!;
  const to = freeName(
    wanted,
    graph[side].filter((slot) => slot.name !== from),
  );
  const renamed = (slots: readonly Slot[]) =>
    slots.map((slot) =>
      slot.name === from ? { ...slot, name: to, ...(slot.widget === from && { widget: to }) } : slot,
    );
  const commands = instancesOf(workflow, definition).flatMap(([at, node]): Command[] => {
    const value = side === "inputs" ? node.values[from] : undefined;
    const set = side === "inputs" ? { inputs: renamed(node.inputs) } : { outputs: renamed(node.outputs) };
    const update: Command = { do: "updateNode", graph: at, id: node.id, set };
    if (value === undefined) return [update];
    return [
      update,
      { do: "setValue", graph: at, id: node.id, input: to, value },
      { do: "setValue", graph: at, id: node.id, input: from, value: undefined },
    ];
  });
  return several([{ do: "putGraph", definition: { ...graph, [side]: renamed(graph[side]) } }, ...commands]);
}

/** Commands that take a slot from a node: links behind it move up. */
function withoutSlot(graph: Graph, node: GraphNode, side: "inputs" | "outputs", name: string): Command[] {
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
