/** Reading the ecosystem's workflows, schema 0.4 and 1, in every spelling. */
import { fileOf, typeOf, type Left } from "../fileRecords";
import { idOf, isObject, listOf, member } from "../json";
import { atOnce, type Steps } from "../slices";
import {
  ROOT,
  type Graph,
  type GraphId,
  type GraphNode,
  type Json,
  type JsonObject,
  type Link,
  type NodeId,
  type Slot,
  type Specs,
  type Workflow,
} from "../types";
import { INPUTS, OUTPUTS } from "../types";
import { readLooks } from "../looks";
import { readBookmarks } from "../bookmarks";
import { readBorders } from "../borders";
import { readGroups } from "./groups";
import { readBends } from "./bends";
import { readInstanceValues } from "./instances";
import { padded, readNode } from "./nodes";

/** Entries between two pauses. */
const AT_A_TIME = 100;

export function looksLikeEditor(data: Json): boolean {
  return Array.isArray(member(data, "nodes"));
}

/** Never fails on single entries: what cannot be read is kept and written back as it came. */
export function readEditor(data: JsonObject, specs: Specs): Workflow {
  return atOnce(readEditorSteps(data, specs));
}

export function* readEditorSteps(data: JsonObject, specs: Specs): Steps<Workflow> {
  const graphs = new Map<GraphId, Graph>([[ROOT, yield* readGraph(data, ROOT, undefined)]]);
  const pending: { data: JsonObject; parent: GraphId }[] = [{ data, parent: ROOT }];
  for (let one = pending.pop(); one !== undefined; one = pending.pop()) {
    for (const entry of definitionsOf(one.data)) {
      const id = entry.id;
      if (typeof id !== "string" || id === ROOT || graphs.has(id)) continue;
      graphs.set(id, yield* readGraph(entry, id, one.parent));
      pending.push({ data: entry, parent: id });
    }
  }
  // Values come last: an instance's need its definition.
  for (const [id, graph] of graphs) {
    const nodes = new Map<NodeId, GraphNode>();
    for (const node of graph.nodes.values()) {
      if (nodes.size % AT_A_TIME === 0) yield 0.7 + (0.3 * nodes.size) / graph.nodes.size;
      const definition = graphs.get(node.type);
      nodes.set(
        node.id,
        definition && node.type !== ROOT ? readInstanceValues(node, definition) : padded(node, specs.get(node.type)),
      );
    }
    graphs.set(id, { ...graph, nodes });
  }
  const bookmarks = readBookmarks(data, graphs);
  return { graphs, form: [], ...(bookmarks && { bookmarks }), extra: { form: isObject(data.state) || data.version === 1 ? "1" : "0.4" } };
}

function definitionsOf(data: JsonObject): readonly JsonObject[] {
  const subgraphs = member(data.definitions, "subgraphs");
  if (isObject(subgraphs)) {
    return Object.entries(subgraphs).flatMap(([id, one]) => (isObject(one) ? { id, ...one } : []));
  }
  return listOf(subgraphs).filter(isObject);
}

function* readGraph(data: JsonObject, id: GraphId, parent: GraphId | undefined): Steps<Graph> {
  const nodes = new Map<NodeId, GraphNode>();
  const leftNodes: Left[] = [];
  const entries = listOf(data.nodes);
  for (const [at, entry] of entries.entries()) {
    if (at % AT_A_TIME === 0) yield (0.4 * at) / entries.length;
    const node = readNode(entry);
    if (node === undefined || nodes.has(node.id)) leftNodes.push({ at, entry });
    else nodes.set(node.id, node);
  }
  const inputs = id === ROOT ? [] : listOf(data.inputs).map(readPort);
  const outputs = id === ROOT ? [] : listOf(data.outputs).map(readPort);
  const borders = {
    inputs: idOf(member(data.inputNode, "id")) ?? INPUTS,
    outputs: idOf(member(data.outputNode, "id")) ?? OUTPUTS,
  };
  const { links, left: leftLinks } = yield* readLinks(listOf(data.links), nodes, { inputs, outputs }, borders);
  const bends = readBends(data, links);
  const stand = id === ROOT ? {} : readBorders(data);
  readLooks(data, links);
  const { groups, left: leftGroups } = readGroups(listOf(data.groups), nodes);
  const definitions = data.definitions;
  const file: JsonObject = {
    ...data,
    ...(Array.isArray(data.nodes) && { nodes: [] }),
    ...(Array.isArray(data.links) && { links: [] }),
    ...(Array.isArray(data.groups) && { groups: [] }),
    ...(id !== ROOT && Array.isArray(data.inputs) && { inputs: [] }),
    ...(id !== ROOT && Array.isArray(data.outputs) && { outputs: [] }),
    ...(isObject(definitions) &&
      Object.hasOwn(definitions, "subgraphs") && {
        definitions: { ...definitions, subgraphs: emptied(definitions.subgraphs) },
      }),
  };
  return {
    id,
    name: typeof data.name === "string" ? data.name : "",
    nodes: yield* settled(nodes, links),
    links,
    groups,
    inputs: id === ROOT ? [] : settledPorts(inputs, links, "from", INPUTS),
    outputs: id === ROOT ? [] : settledPorts(outputs, links, "to", OUTPUTS),
    ...(Object.keys(stand).length > 0 && { borders: stand }),
    extra: {
      file,
      ...(parent !== undefined && { parent }),
      ...(leftNodes.length > 0 && { leftNodes: leftNodes as unknown as Json }),
      ...(leftLinks.length > 0 && { leftLinks: leftLinks as unknown as Json }),
      ...(leftGroups.length > 0 && { leftGroups: leftGroups as unknown as Json }),
      ...(bends.idle.length > 0 && { idleReroutes: bends.idle }),
      ...(bends.bent.length > 0 && { bent: bends.bent }),
    },
  };
}

/** The list of definitions without those that are graphs of their own now. */
function emptied(subgraphs: Json | undefined): Json {
  if (isObject(subgraphs)) return {};
  if (!Array.isArray(subgraphs)) return subgraphs ?? null;
  return listOf(subgraphs).filter((one) => typeof member(one, "id") !== "string" || member(one, "id") === ROOT);
}

function readPort(entry: Json): Slot {
  const label = member(entry, "label");
  const name = member(entry, "name");
  return {
    name: typeof name === "string" ? name : "",
    type: typeOf(member(entry, "type")),
    ...(typeof label === "string" && { label }),
    extra: { file: entry },
  };
}

interface Table {
  readonly id: string;
  readonly at: number;
  readonly entry: Json;
  readonly from: NodeId;
  readonly output: number;
  readonly to: NodeId | undefined;
  readonly input: number;
  readonly type: string;
  used: boolean;
}

function* readLinks(
  entries: readonly Json[],
  nodes: Map<NodeId, GraphNode>,
  ports: { inputs: readonly Slot[]; outputs: readonly Slot[] },
  borders: { inputs: string; outputs: string },
): Steps<{ links: Map<string, Link>; left: Left[] }> {
  const table = new Map<string, Table>();
  const left: Left[] = [];
  for (const [at, entry] of entries.entries()) {
    if (at % AT_A_TIME === 0) yield 0.4 + (0.1 * at) / entries.length;
    const row = readRow(entry, at, borders);
    if (row === undefined) {
      left.push({ at, entry });
      continue;
    }
    const earlier = table.get(row.id);
    if (earlier !== undefined) left.push({ at: earlier.at, entry: earlier.entry });
    table.delete(row.id);
    table.set(row.id, row);
  }
  const found = new Map<string, Link>();
  const add = (row: Table, to: NodeId, input: number) => {
    if (row.used || !hasOutput(nodes, ports, row)) return;
    row.used = true;
    const entry = row.entry;
    const file: JsonObject = isObject(entry) ? entry : { row: entry };
    const astray = row.to !== to || row.input !== input;
    const extra: JsonObject = astray ? { file, was: [to, input] } : { file };
    found.set(row.id, { id: row.id, from: row.from, output: row.output, to, input, type: row.type, extra });
  };
  // The slot says which link feeds it; what the table says of the target may be out of date.
  let count = 0;
  for (const node of nodes.values()) {
    if (++count % AT_A_TIME === 0) yield 0.5 + (0.1 * count) / nodes.size;
    for (const [input, slot] of node.inputs.entries()) {
      const id = idOf(member(slot.extra?.file, "link"));
      const row = id === undefined ? undefined : table.get(id);
      if (row !== undefined && row.to !== OUTPUTS) add(row, node.id, input);
    }
  }
  for (const row of table.values()) {
    if (row.to === OUTPUTS && ports.outputs[row.input] !== undefined) add(row, OUTPUTS, row.input);
    if (!row.used) left.push({ at: row.at, entry: row.entry });
  }
  const links = new Map<string, Link>();
  const exits = new Set<number>();
  for (const id of table.keys()) {
    const link = found.get(id);
    if (link === undefined) continue;
    if (link.to === OUTPUTS && exits.has(link.input)) left.push({ at: table.get(id)!.at, entry: table.get(id)!.entry });
    else links.set(id, link);
    if (link.to === OUTPUTS) exits.add(link.input);
  }
  return { links, left: left.sort((one, other) => one.at - other.at) };
}

function readRow(entry: Json, at: number, borders: { inputs: string; outputs: string }): Table | undefined {
  const row: readonly (Json | undefined)[] = isObject(entry)
    ? [entry.id, entry.origin_id, entry.origin_slot, entry.target_id, entry.target_slot, entry.type]
    : listOf(entry);
  const id = idOf(row[0]);
  const from = idOf(row[1]);
  if (row.length < 5 || id === undefined || from === undefined || !Number.isInteger(row[2])) return undefined;
  const to = idOf(row[3]);
  return {
    id,
    at,
    entry,
    from: borderOr(from, borders.inputs, INPUTS),
    output: row[2] as number,
    to: to === undefined ? undefined : borderOr(to, borders.outputs, OUTPUTS),
    input: Number.isInteger(row[4]) ? (row[4] as number) : -1,
    type: typeOf(row[5]),
    used: false,
  };
}

/** Our id of a border for the file's; a file that calls its border otherwise means no border by ours. */
function borderOr(id: string, border: string, ours: NodeId): NodeId {
  if (id === border) return ours;
  return id === ours ? "" : id;
}

function hasOutput(nodes: Map<NodeId, GraphNode>, ports: { inputs: readonly Slot[] }, row: Table): boolean {
  if (row.output < 0 || row.output > 1000) return false;
  if (row.from === INPUTS && !nodes.has(INPUTS)) return ports.inputs[row.output] !== undefined;
  const node = nodes.get(row.from);
  if (node === undefined) return false;
  if (row.output >= node.outputs.length) {
    // Some files leave outputs out that are linked all the same.
    const missing = Array.from({ length: row.output + 1 - node.outputs.length }, () => ({
      name: row.type,
      type: row.type,
      extra: { padded: true },
    }));
    nodes.set(node.id, { ...node, outputs: [...node.outputs, ...missing] });
  }
  return true;
}

/** Notes where slots name other links than those that were read. */
function* settled(nodes: Map<NodeId, GraphNode>, links: ReadonlyMap<string, Link>): Steps<Map<NodeId, GraphNode>> {
  const into = new Map<string, string>();
  const outOf = new Map<string, string[]>();
  for (const link of links.values()) {
    if (into.size % AT_A_TIME === 0) yield undefined;
    into.set(`${link.to} ${link.input}`, link.id);
    const key = `${link.from} ${link.output}`;
    const before = outOf.get(key);
    if (before === undefined) outOf.set(key, [link.id]);
    else before.push(link.id);
  }
  const made = new Map<NodeId, GraphNode>();
  for (const node of nodes.values()) {
    if (made.size % AT_A_TIME === 0) yield 0.6 + (0.1 * made.size) / nodes.size;
    let odd = false;
    const inputs = node.inputs.map((slot, place) => {
      const now = into.get(`${node.id} ${place}`) ?? null;
      if (now === (idOf(fileOf(slot)?.link) ?? null)) return slot;
      odd = true;
      return { ...slot, extra: { ...slot.extra, was: now } };
    });
    const outputs = node.outputs.map((slot, place) => {
      const now = outOf.get(`${node.id} ${place}`) ?? [];
      if (sameIds(now, fileOf(slot)?.links)) return slot;
      odd = true;
      return { ...slot, extra: { ...slot.extra, was: now } };
    });
    made.set(node.id, odd ? { ...node, inputs, outputs } : node);
  }
  return made;
}

function settledPorts(
  ports: readonly Slot[],
  links: ReadonlyMap<string, Link>,
  end: "from" | "to",
  border: NodeId,
): readonly Slot[] {
  return ports.map((slot, place) => {
    const now = [...links.values()].flatMap((link) =>
      link[end] === border && (end === "from" ? link.output : link.input) === place ? link.id : [],
    );
    return sameIds(now, fileOf(slot)?.linkIds) ? slot : { ...slot, extra: { ...slot.extra, was: now } };
  });
}

/** Whether a file's list names exactly these links, in whatever order. */
export function sameIds(now: readonly string[], listed: Json | undefined): boolean {
  const ids = listOf(listed).map(idOf);
  return (
    ids.length === now.length && (now.length < 2 ? ids[0] === now[0] : new Set([...ids, ...now]).size === now.length)
  );
}
