/** API prompts: nodes without places, laid out here. Nodes of flattened subgraphs keep their ids `instance:inner`. */
import { isObject, listOf, member, objectOf, withEntry } from "../json";
import { layout } from "../layout";
import { unwrap } from "../nativeForm";
import { newNode, NODE_WIDTH } from "../nodes";
import {
  ROOT,
  type Graph,
  type GraphNode,
  type Json,
  type JsonObject,
  type Link,
  type NodeId,
  type NodeSpec,
  type Slot,
  type Specs,
  type Workflow,
} from "../types";

export function looksLikeApi(data: Json): boolean {
  return isObject(data) && Object.values(data).some((entry) => isObject(entry) && Object.hasOwn(entry, "class_type"));
}

export function readApi(data: JsonObject, specs: Specs): Workflow {
  const nodes = new Map<NodeId, GraphNode>();
  const outputs = highestOutputs(data);
  for (const [id, entry] of Object.entries(data)) {
    if (isObject(entry) && typeof entry.class_type === "string")
      nodes.set(id, readNode(id, entry, specs.get(entry.class_type), outputs.get(id) ?? 0));
  }
  const links = new Map<string, Link>();
  for (const node of nodes.values()) {
    const given = objectOf(member(data[node.id], "inputs"));
    for (const [input, slot] of node.inputs.entries()) {
      const value = member(given, slot.name);
      const [from, output] = listOf(value);
      if (!isLink(value) || !nodes.has(String(from))) continue;
      const id = String(links.size + 1);
      const type = nodes.get(String(from))!.outputs[output as number]!.type;
      links.set(id, { id, from: String(from), output: output as number, to: node.id, input, type });
    }
  }
  const graph: Graph = { id: ROOT, name: "", nodes, links, groups: new Map(), inputs: [], outputs: [] };
  for (const { id, x, y } of layout(graph, nodes.keys(), specs)) nodes.set(id, { ...nodes.get(id)!, x, y });
  return { graphs: new Map([[ROOT, graph]]), form: [], extra: { form: "api" } };
}

function isLink(value: Json | undefined): boolean {
  const [from, output] = listOf(value);
  return (
    listOf(value).length === 2 &&
    typeof from === "string" &&
    Number.isInteger(output) &&
    (output as number) >= 0 &&
    (output as number) < 1000
  );
}

/** How many outputs each node has at least, for types that nobody describes. */
function highestOutputs(data: JsonObject): Map<string, number> {
  const found = new Map<string, number>();
  for (const entry of Object.values(data)) {
    for (const value of Object.values(objectOf(member(entry, "inputs")))) {
      if (!isLink(value)) continue;
      const [from, output] = value as readonly Json[];
      found.set(String(from), Math.max(found.get(String(from)) ?? 0, (output as number) + 1));
    }
  }
  return found;
}

function readNode(id: NodeId, entry: JsonObject, spec: NodeSpec | undefined, least: number): GraphNode {
  const type = String(entry.class_type);
  const base: GraphNode = spec
    ? newNode(spec, id, 0, 0)
    : { id, type, mode: "always", values: {}, inputs: [], outputs: [], x: 0, y: 0, width: NODE_WIDTH, height: null };
  const values: Record<string, Json> = { ...base.values };
  const inputs: Slot[] = [...base.inputs];
  for (const [name, value] of Object.entries(objectOf(entry.inputs))) {
    if (!isLink(value)) withEntry(values, name, unwrap(value));
    else if (!inputs.some((slot) => slot.name === name)) {
      const input = spec?.inputs.find((one) => one.name === name);
      inputs.push({ name, type: input?.type ?? "*", ...(input?.widget === true && { widget: name }) });
    }
  }
  const missing = Math.max(0, least - base.outputs.length);
  const more = Array.from({ length: missing }, (_, place) => ({
    name: `output ${base.outputs.length + place}`,
    type: "*",
  }));
  const title = member(entry._meta, "title");
  const others = Object.entries(entry).filter(([key]) => key !== "class_type" && key !== "inputs");
  return {
    ...base,
    values,
    inputs,
    outputs: [...base.outputs, ...more],
    ...(typeof title === "string" && title !== (spec?.title ?? type) && { title }),
    extra: { api: Object.fromEntries(others) },
  };
}
