/**
 * Group nodes, the older form of subgraphs: a node of type `workflow>Name` (earlier `workflow/Name`), whose nodes stand
 * in `extra.groupNodes` of the file with links between them as `[from, slot, to, slot, id, type]` by position.
 */
import { fileOf } from "../fileRecords";
import { idOf, isObject, listOf, member, objectOf } from "../json";
import { padded, readNode } from "../read/nodes";
import {
  INPUTS,
  OUTPUTS,
  ROOT,
  type Graph,
  type GraphNode,
  type Json,
  type JsonObject,
  type Link,
  type NodeId,
  type Slot,
  type Specs,
  type Workflow,
} from "../types";
import { placeName, savedWidgets, type Widget, takeValues } from "../widgets";

const PREFIXES = ["workflow>", "workflow/"];
const read = new WeakMap<JsonObject, Map<string, Graph>>();

export function groupName(type: string): string | undefined {
  const prefix = PREFIXES.find((one) => type.startsWith(one));
  return prefix === undefined ? undefined : type.slice(prefix.length);
}

export function readGroupNodes(workflow: Workflow): ReadonlyMap<string, Graph> {
  const saved = member(fileOf(workflow.graphs.get(ROOT))?.extra, "groupNodes");
  if (!isObject(saved)) return new Map();
  let found = read.get(saved);
  if (found === undefined) {
    found = new Map();
    for (const [name, entry] of Object.entries(saved)) {
      if (isObject(entry) && Array.isArray(entry.nodes)) found.set(name, readGroup(name, entry));
    }
    read.set(saved, found);
  }
  return found;
}

function readGroup(name: string, entry: JsonObject): Graph {
  const raw = listOf(entry.nodes).map(objectOf);
  const inner = innerLinks(entry, raw.length);
  const fed = new Set(inner.map((link) => `${link.to} ${link.input}`));
  const nodes = new Map<NodeId, GraphNode>();
  const links = new Map<string, Link>(inner.map((link) => [link.id, link]));
  const inputs: Slot[] = [];
  const outputs: Slot[] = [];
  const seen = new Map<string, number>();
  for (const [place, one] of raw.entries()) {
    const id = String(place);
    const node = readNode({
      ...one,
      id: place,
      type: typeof one.type === "string" && one.type !== "" ? one.type : "?",
    })!;
    nodes.set(id, node);
    for (const [input, slot] of node.inputs.entries()) {
      if (fed.has(`${id} ${input}`)) continue;
      const shown = setting(entry, id, "input", slot.name).name;
      const link: Link = {
        id: `in ${id} ${input}`,
        from: INPUTS,
        output: inputs.length,
        to: id,
        input,
        type: slot.type,
      };
      links.set(link.id, link);
      inputs.push({
        name: unique(seen, typeof shown === "string" && shown !== "" ? shown : slot.name, one),
        type: slot.type,
      });
    }
  }
  const wired = new Set(inner.map((link) => `${link.from} ${link.output}`));
  const external = new Set(listOf(entry.external).map((one) => `${String(listOf(one)[0])} ${String(listOf(one)[1])}`));
  for (const [id, node] of nodes) {
    for (const [output, slot] of node.outputs.entries()) {
      const key = `${id} ${output}`;
      if ((wired.has(key) && !external.has(key)) || setting(entry, id, "output", String(output)).visible === false)
        continue;
      const link: Link = {
        id: `out ${outputs.length}`,
        from: id,
        output,
        to: OUTPUTS,
        input: outputs.length,
        type: slot.type,
      };
      links.set(link.id, link);
      outputs.push({ name: slot.type, type: slot.type });
    }
  }
  return { id: name, name, nodes, links, groups: new Map(), inputs, outputs, extra: { group: true } };
}

function innerLinks(entry: JsonObject, count: number): Link[] {
  const found: Link[] = [];
  const taken = new Set<string>();
  for (const [number, one] of listOf(entry.links).entries()) {
    const row = listOf(one);
    const [from, to] = [idOf(row[0]), idOf(row[2])];
    // Wires that came in from outside name no origin.
    if (from === undefined || to === undefined || !Number.isInteger(row[1]) || !Number.isInteger(row[3])) continue;
    if (!/^\d+$/.test(from) || Number(from) >= count || taken.has(`${to} ${String(row[3])}`)) continue;
    taken.add(`${to} ${String(row[3])}`);
    found.push({
      id: `l${number}`,
      from,
      output: row[1] as number,
      to,
      input: row[3] as number,
      type: typeof row[5] === "string" ? row[5] : "*",
    });
  }
  return found;
}

/** The name, or with the node's title before it, or with a number, whichever is still free. */
function unique(seen: Map<string, number>, name: string, node: JsonObject): string {
  const count = seen.get(name) ?? 0;
  seen.set(name, count + 1);
  if (count === 0) return name;
  const longer = `${String(node.title ?? node.type)} ${name}`;
  const again = seen.get(longer) ?? 0;
  seen.set(longer, again + 1);
  return again === 0 ? longer : `${longer} ${again}`;
}

function setting(entry: JsonObject, id: string, side: string, name: string): JsonObject {
  return objectOf(member(member(member(entry.config, id), side), name));
}

/** The inner node with its own saved values. */
export function groupMember(node: GraphNode, specs: Specs): GraphNode {
  return padded(node, specs.get(node.type));
}

/**
 * The values that a group node sets inside: its list runs through the widgets of all inner nodes in order. It is only
 * taken when it comes out even, with or without the widgets that are wired inside; else the values inside stay.
 */
export function groupOverrides(
  node: GraphNode,
  graph: Graph,
  specs: Specs,
): readonly (readonly [NodeId, string, Json])[] {
  const list = listOf(fileOf(node)?.widgets_values).map((value, place) => node.values[placeName(place)] ?? value);
  if (list.length === 0) return [];
  const wiredInside = (id: NodeId) => {
    const links = [...graph.links.values()].filter((link) => link.to === id && link.from !== INPUTS);
    return new Set(links.flatMap((link) => graph.nodes.get(id)?.inputs[link.input]?.widget ?? []));
  };
  for (const withWired of [true, false]) {
    let rest: readonly Json[] = list;
    const found: (readonly [NodeId, string, Json])[] = [];
    for (const [id, inner] of graph.nodes) {
      const saved = fileOf(inner)?.widgets_values;
      let widgets: readonly Widget[] = savedWidgets(
        specs.get(inner.type),
        inner.inputs,
        isObject(saved) ? saved : listOf(saved),
      );
      if (!withWired) {
        const wired = wiredInside(id);
        widgets = widgets.filter((widget) => !wired.has(widget.name));
      }
      if (rest.length === 0) break;
      const taken = takeValues(widgets, rest);
      rest = taken.rest;
      for (const [name, value] of taken.named) found.push([id, name, value]);
    }
    if (rest.length === 0) return found;
  }
  return [];
}
