/** Writing the ecosystem's workflows: the file as it came, with what was edited replaced, in the schema it came in. */
import { linkIndex } from "../adjacency";
import { fileOf, leftOf, withLeft } from "../fileRecords";
import { fileId, idOf, isObject, listOf, member, objectOf, sameJson } from "../json";
import { sameIds } from "../read/editor";
import {
  ROOT,
  INPUTS,
  OUTPUTS,
  type Graph,
  type GraphNode,
  type Json,
  type JsonObject,
  type Link,
  type Slot,
  type Specs,
  type Workflow,
} from "../types";
import { writeBookmarks } from "../bookmarks";
import { besideNodes, writeBorders } from "../borders";
import { writeLooks } from "../looks";
import { writeBends } from "./bends";
import { writeGroups } from "./groups";
import { writeNode } from "./nodes";

type Fields = Record<string, Json>;

/** Writes schema 1 when the workflow came in it, else 0.4. */
export function writeEditor(workflow: Workflow, specs: Specs): JsonObject {
  return writeGraph(workflow, workflow.graphs.get(ROOT)!, specs, workflow.extra?.form === "1");
}

function writeGraph(workflow: Workflow, graph: Graph, specs: Specs, schema1: boolean): JsonObject {
  const file = fileOf(graph);
  const out: Fields = { ...(file ?? fresh(graph, schema1)) };
  const index = linkIndex(graph.links);
  const slots = slotWriter(index);
  const nodes = [...graph.nodes.values()].map((node) => writeNode(workflow, node, specs, slots(node)));
  put(out, "nodes", withLeft(nodes, leftOf(graph, "leftNodes")));
  const asObjects = linksAsObjects(graph, schema1);
  const borders = { inputs: borderId(out.inputNode, INPUTS), outputs: borderId(out.outputNode, OUTPUTS) };
  const links = [...graph.links.values()].map((link) => writeLink(link, asObjects, borders));
  put(out, "links", withLeft(links, leftOf(graph, "leftLinks")));
  put(out, "groups", withLeft(writeGroups(graph), leftOf(graph, "leftGroups")));
  if (graph.id === ROOT) writeBookmarks(out, workflow);
  else {
    writePorts(out, graph);
    writeBorders(out, graph);
  }
  writeBends(out, graph);
  writeLooks(out, graph);
  writeCounters(out, graph);
  writeDefinitions(out, workflow, graph, specs);
  return out;
}

function borderId(entry: Json | undefined, ours: string): Json {
  const id = member(entry, "id");
  return id !== undefined && idOf(id) !== undefined ? id : Number(ours);
}

function fresh(graph: Graph, schema1: boolean): JsonObject {
  if (graph.id === ROOT) {
    const counters: JsonObject = schema1
      ? { state: { lastGroupId: 0, lastNodeId: 0, lastLinkId: 0, lastRerouteId: 0 } }
      : { last_node_id: 0, last_link_id: 0 };
    return { ...counters, nodes: [], links: [], groups: [], config: {}, extra: {}, version: schema1 ? 1 : 0.4 };
  }
  return {
    id: graph.id,
    version: 1,
    revision: 0,
    state: { lastGroupId: 0, lastNodeId: 0, lastLinkId: 0, lastRerouteId: 0 },
    config: {},
    name: graph.name,
    inputNode: { id: Number(INPUTS), bounding: [...besideNodes(graph, "inputs"), 120, 60] },
    outputNode: { id: Number(OUTPUTS), bounding: [...besideNodes(graph, "outputs"), 120, 60] },
    inputs: [],
    outputs: [],
    widgets: [],
    nodes: [],
    links: [],
    groups: [],
    extra: {},
  };
}

/** Replaces a member, but adds no empty list that the file did not have. */
function put(out: Fields, key: string, value: readonly Json[]): void {
  if (value.length > 0 || Object.hasOwn(out, key)) {
    // A file's null stands for no entries as well as an empty list does.
    if (value.length === 0 && !Array.isArray(out[key]) && out[key] !== undefined) return;
    out[key] = value;
  }
}

function linksAsObjects(graph: Graph, schema1: boolean): boolean {
  for (const link of graph.links.values()) {
    const file = fileOf(link);
    if (file !== undefined) return !Object.hasOwn(file, "row");
  }
  return schema1 || graph.id !== ROOT;
}

function writeLink(link: Link, asObject: boolean, borders: { inputs: Json; outputs: Json }): Json {
  const from = link.from === INPUTS ? borders.inputs : fileId(link.from);
  const to = link.to === OUTPUTS ? borders.outputs : fileId(link.to);
  const file = fileOf(link);
  const row = file !== undefined && Object.hasOwn(file, "row") ? file.row : undefined;
  const last = link.bends?.at(-1)?.id;
  if (row !== undefined || (file === undefined && !asObject)) {
    const old = listOf(row);
    const now: Json[] = [fileId(link.id), from, link.output, to, link.input, link.type];
    const target = sameJson(link.extra?.was, [link.to, link.input]) || (sameEnd(old[3], to) && old[4] === link.input);
    const same =
      old.length >= 5 && idOf(old[0]) === link.id && sameEnd(old[1], from) && old[2] === link.output && target;
    return same ? row! : [...now, ...old.slice(6)];
  }
  const out: Fields = { ...(file ?? {}) };
  const put = (key: string, value: Json, same: boolean) => {
    if (!same) out[key] = value;
  };
  put("id", fileId(link.id), idOf(out.id) === link.id);
  put("origin_id", from, sameEnd(out.origin_id, from));
  put("origin_slot", link.output, out.origin_slot === link.output);
  const astray = sameJson(link.extra?.was, [link.to, link.input]);
  put("target_id", to, astray || sameEnd(out.target_id, to));
  put("target_slot", link.input, astray || out.target_slot === link.input);
  put("type", link.type, out.type !== undefined && (typeof out.type !== "string" || out.type === link.type));
  if (last !== undefined && idOf(out.parentId) !== last) out.parentId = fileId(last);
  else if (last === undefined && file === undefined) delete out.parentId;
  return out;
}

function sameEnd(one: Json | undefined, other: Json): boolean {
  return one === other || idOf(one) === idOf(other);
}

/** Slots of a node as the file has them, with the links they have now. */
function slotWriter(index: ReturnType<typeof linkIndex>) {
  return (node: GraphNode): { inputs: Json[]; outputs: Json[] } => {
    const { in: incoming, out: outgoing } = index.of(node.id);
    const feeding = new Map(incoming.map((link) => [link.input, link.id]));
    const leaving = new Map<number, string[]>();
    for (const link of outgoing) {
      const before = leaving.get(link.output);
      if (before === undefined) leaving.set(link.output, [link.id]);
      else before.push(link.id);
    }
    return {
      inputs: needed(
        node.inputs,
        (place) => feeding.has(place) && node.inputs[place]!.extra?.was !== feeding.get(place),
      ).map((slot, place) => writeInput(slot, feeding.get(place) ?? null)),
      outputs: needed(
        node.outputs,
        (place) => leaving.has(place) && !sameList(node.outputs[place]!, leaving.get(place)!, undefined),
      ).map((slot, place) => writeOutput(slot, leaving.get(place) ?? [], place)),
    };
  };
}

/** Slots that the file did not have are only written when something new hangs on them or on one after them. */
function needed(slots: readonly Slot[], linked: (place: number) => boolean): readonly Slot[] {
  let count = slots.length;
  while (count > 0 && slots[count - 1]!.extra?.padded === true && !linked(count - 1)) count -= 1;
  return slots.slice(0, count);
}

function writeSlot(slot: Slot): Fields | Json {
  const file = slot.extra?.file;
  if (file !== undefined && !isObject(file)) return file;
  const out: Fields = { ...file };
  if (file === undefined || (typeof out.name === "string" ? out.name : "") !== slot.name) out.name = slot.name;
  if (
    file === undefined ||
    (typeof out.type === "string" ? out.type !== slot.type : !Array.isArray(out.type) && slot.type !== "*")
  )
    out.type = slot.type;
  if (slot.label !== undefined ? out.label !== slot.label : typeof out.label === "string") {
    if (slot.label === undefined) delete out.label;
    else out.label = slot.label;
  }
  return out;
}

function writeInput(slot: Slot, link: string | null): Json {
  const out = writeSlot(slot);
  if (!isObject(out)) return out;
  const fields = out as Fields;
  const was = slot.extra?.was;
  const same = was !== undefined ? was === link : (idOf(fields.link) ?? null) === link;
  if (!same || (fileOf(slot) === undefined && fields.link === undefined))
    fields.link = link === null ? null : fileId(link);
  const widget = fields.widget;
  const named = isObject(widget) ? (widget.name ?? fields.name) : undefined;
  if (named !== slot.widget) {
    if (slot.widget === undefined) delete fields.widget;
    else fields.widget = { ...objectOf(widget), name: slot.widget };
  }
  return fields;
}

function writeOutput(slot: Slot, links: readonly string[], place: number): Json {
  const out = writeSlot(slot);
  if (!isObject(out)) return out;
  const fields = out as Fields;
  const file = fileOf(slot);
  if (sameList(slot, links, fields.links)) {
    if (file === undefined) fields.links = null;
  } else fields.links = inFileOrder(links, fields.links);
  if (file === undefined) fields.slot_index = place;
  return fields;
}

function sameList(slot: Slot, now: readonly string[], listed: Json | undefined): boolean {
  const was = slot.extra?.was;
  return was !== undefined ? sameJson([...now].sort(), [...listOf(was)].map(String).sort()) : sameIds(now, listed);
}

function inFileOrder(now: readonly string[], listed: Json | undefined): Json {
  const left = new Set(now);
  const kept = listOf(listed).filter((id) => left.delete(idOf(id) ?? ""));
  return [...kept, ...[...left].map(fileId)];
}

function writePorts(out: Fields, graph: Graph): void {
  for (const [key, ports, end] of [
    ["inputs", graph.inputs, "from"],
    ["outputs", graph.outputs, "to"],
  ] as const) {
    const border = end === "from" ? INPUTS : OUTPUTS;
    const found: Json[] = ports.map((slot, place) => {
      const entry = writeSlot(slot);
      if (!isObject(entry)) return entry;
      const links = [...graph.links.values()]
        .filter((link) => link[end] === border && (end === "from" ? link.output : link.input) === place)
        .map((link) => link.id);
      const fields = entry as Fields;
      if (fileOf(slot) === undefined) fields.id = crypto.randomUUID();
      if (!sameList(slot, links, fields.linkIds)) fields.linkIds = inFileOrder(links, fields.linkIds);
      return fields;
    });
    put(out, key, found);
  }
  if ((out.name ?? "") !== graph.name) out.name = graph.name;
}

/** Counters of the last ids: never lower than the file's, never lower than an id in use. */
function writeCounters(out: Fields, graph: Graph): void {
  const most = (ids: Iterable<string>) => Math.max(0, ...[...ids].map(Number).filter(Number.isSafeInteger));
  const raise = (fields: Fields, key: string, value: number) => {
    const before = fields[key];
    if (typeof before === "number" && before < value) fields[key] = value;
  };
  const [node, link, group] = [most(graph.nodes.keys()), most(graph.links.keys()), most(graph.groups.keys())];
  // Raised for what was added only: a file whose own ids are above its counters stays as it is.
  const added = <T extends { readonly extra?: JsonObject }>(all: Iterable<T>) =>
    [...all].some((one) => fileOf(one) === undefined);
  if (added(graph.nodes.values())) raise(out, "last_node_id", node);
  if (added(graph.links.values())) raise(out, "last_link_id", link);
  if (isObject(out.state)) {
    const state: Fields = { ...out.state };
    if (added(graph.nodes.values())) raise(state, "lastNodeId", node);
    if (added(graph.links.values())) raise(state, "lastLinkId", link);
    if (added(graph.groups.values())) raise(state, "lastGroupId", group);
    out.state = state;
  }
}

function writeDefinitions(out: Fields, workflow: Workflow, graph: Graph, specs: Specs): void {
  const written: JsonObject[] = [];
  for (const one of workflow.graphs.values()) {
    const parent = one.extra?.parent ?? ROOT;
    const here = parent === graph.id || (graph.id === ROOT && !workflow.graphs.has(String(parent)));
    if (one.id !== ROOT && here) written.push(writeGraph(workflow, one, specs, true));
  }
  const definitions = out.definitions;
  if (written.length === 0 && !isObject(definitions)) return;
  const before = member(definitions, "subgraphs");
  if (written.length === 0 && !isObject(before)) return;
  const subgraphs: Json = isObject(before)
    ? Object.fromEntries(written.map((one) => [String(one.id), one]))
    : [...listOf(before), ...written];
  out.definitions = { ...objectOf(definitions), subgraphs };
}
