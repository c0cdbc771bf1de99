/** Reading the native form. */
import { bookmarksFrom } from "../bookmarks";
import { isObject, listOf, member, objectOf, withEntry } from "../json";
import { byId, unwrap, VERSION } from "../nativeForm";
import { DocumentError } from "../problems";
import { atOnce, type Steps } from "../slices";
import {
  OUTPUTS,
  INPUTS,
  ROOT,
  type Borders,
  type FormField,
  type Graph,
  type GraphId,
  type GraphNode,
  type Group,
  type Json,
  type JsonObject,
  type Link,
  type Mode,
  type NodeId,
  type Slot,
  type Specs,
  type Workflow,
} from "../types";
import { placesOf } from "../widgets";
import { slotKey } from "../write/native";
import { DEFAULT_WIDTH, valuesAt } from "./nodes";

/** Entries between two pauses. */
const AT_A_TIME = 100;

/** Raises `DocumentError` when a newer version wrote the document. */
export function readNative(data: JsonObject, specs: Specs): Workflow {
  return atOnce(readNativeSteps(data, specs));
}

export function* readNativeSteps(data: JsonObject, specs: Specs): Steps<Workflow> {
  if (typeof data.safelight !== "number" || data.safelight > VERSION) {
    throw new DocumentError(
      `the workflow is of version ${String(data.safelight)}, this editor reads version ${VERSION}`,
    );
  }
  const { safelight: _version, definitions, form, ...root } = data as JsonObject & { safelight: number };
  const graphs = new Map<GraphId, Graph>([[ROOT, yield* readGraph(ROOT, root as JsonObject, specs)]]);
  for (const [id, entry] of Object.entries(objectOf(definitions))) {
    if (id !== ROOT && isObject(entry)) graphs.set(id, yield* readGraph(id, entry, specs));
  }
  const fields = listOf(form).flatMap((one): FormField[] =>
    isObject(one) && typeof one.node === "string" ? [one as unknown as FormField] : [],
  );
  const others = unknown(root as JsonObject, ["nodes", "view", "meta"]);
  const bookmarks = bookmarksFrom(member((root as JsonObject).view, "bookmarks"), graphs);
  return { graphs, form: fields, ...(bookmarks && { bookmarks }), extra: { form: "native", ...(others && { native: others }) } };
}

function* readGraph(id: GraphId, data: JsonObject, specs: Specs): Steps<Graph> {
  const view = objectOf(data.view);
  const nodes = new Map<NodeId, GraphNode>();
  const entries = objectOf(data.nodes);
  const places = objectOf(view.nodes);
  const keys = Object.keys(entries).sort(byId);
  for (const [at, key] of keys.entries()) {
    if (at % AT_A_TIME === 0) yield (0.6 * at) / keys.length;
    const node = readNode(key, entries[key]!, objectOf(member(places, key)), specs);
    if (node !== undefined) nodes.set(key, node);
  }
  const inputs = listOf(data.inputs).map(readSlot);
  const outputs = listOf(data.outputs).map(readSlot);
  const groups = Object.keys(objectOf(view.groups)).map((key) =>
    readGroup(key, objectOf(member(view.groups, key)), nodes),
  );
  const others =
    id === ROOT ? undefined : unknown(data, ["nodes", "view", "meta", "name", "inputs", "outputs", "exits"]);
  const look = unknown(view, ["nodes", "links", "groups", "borders", "bookmarks"]);
  const borders = id === ROOT ? undefined : readBorders(objectOf(view.borders));
  return {
    id,
    name: typeof data.name === "string" ? data.name : "",
    nodes,
    links: yield* readLinks(data, entries, nodes, inputs, outputs),
    groups: new Map(groups.map((group) => [group.id, group])),
    inputs: id === ROOT ? [] : inputs,
    outputs: id === ROOT ? [] : outputs,
    ...(borders && { borders }),
    extra: {
      ...(isObject(data.meta) && { file: { ...data.meta, ...(id !== ROOT && { id, name: data.name ?? "" }) } }),
      ...(others && { native: others }),
      ...(look && { view: look }),
    },
  };
}

function readBorders(data: JsonObject): Borders | undefined {
  const found = Object.entries(data).flatMap(([side, at]) => {
    const [x, y] = [member(at, "x"), member(at, "y")];
    const known = (side === "inputs" || side === "outputs") && typeof x === "number" && typeof y === "number";
    return known ? [[side, { x, y }] as const] : [];
  });
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

function readNode(id: NodeId, entry: Json, place: JsonObject, specs: Specs): GraphNode | undefined {
  if (!isObject(entry) || typeof entry.type !== "string") return undefined;
  const slots = objectOf(entry.slots);
  const inputs = listOf(slots.in).map(readSlot);
  const values: Record<string, Json> = {};
  for (const [name, value] of Object.entries(objectOf(entry.inputs))) {
    if (!Array.isArray(value)) withEntry(values, name, unwrap(value));
  }
  for (const [name, value] of Object.entries(objectOf(entry.kept))) withEntry(values, name, unwrap(value));
  const number = (key: string, otherwise: number) => (typeof place[key] === "number" ? place[key] : otherwise);
  const native = unknown(entry, ["type", "inputs", "kept", "mode", "slots", "proxies"]);
  const view = unknown(place, ["x", "y", "w", "h", "title", "collapsed", "pinned", "color", "extra"]);
  return {
    id,
    type: entry.type,
    mode: ["mute", "bypass"].includes(String(entry.mode)) ? (entry.mode as Mode) : "always",
    values: named(values, entry.type, inputs, specs),
    inputs,
    outputs: listOf(slots.out).map(readSlot),
    x: number("x", 0),
    y: number("y", 0),
    width: number("w", DEFAULT_WIDTH),
    height: typeof place.h === "number" ? place.h : null,
    ...(typeof place.title === "string" && { title: place.title }),
    ...(place.collapsed === true && { collapsed: true }),
    ...(place.pinned === true && { pinned: true }),
    ...(typeof place.color === "string" && { color: place.color }),
    extra: {
      ...(isObject(place.extra) && { file: place.extra }),
      ...(entry.proxies !== undefined && { proxies: entry.proxies }),
      ...(native && { native }),
      ...(view && { view }),
    },
  };
}

/** Values known by their places alone get names once their type is known. */
function named(
  values: Record<string, Json>,
  type: string,
  inputs: readonly Slot[],
  specs: Specs,
): Record<string, Json> {
  const spec = specs.get(type);
  const names = Object.keys(values);
  if (spec === undefined || names.length === 0 || !names.every((name) => /^#\d+$/.test(name))) return values;
  const list = names.map((_, place) => values[`#${place}`]);
  if (list.some((value) => value === undefined)) return values;
  return valuesAt(placesOf(spec, inputs, list as Json[]), list as Json[]);
}

function readSlot(entry: Json): Slot {
  const slot = objectOf(entry);
  const native = unknown(slot, ["name", "type", "label", "widget"]);
  return {
    name: typeof slot.name === "string" ? slot.name : "",
    type: typeof slot.type === "string" ? slot.type : "*",
    ...(typeof slot.label === "string" && { label: slot.label }),
    ...(typeof slot.widget === "string" && { widget: slot.widget }),
    ...(native && { extra: { native } }),
  };
}

function readGroup(id: string, entry: JsonObject, nodes: ReadonlyMap<NodeId, GraphNode>): Group {
  const number = (key: string) => (typeof entry[key] === "number" ? entry[key] : 0);
  const native = unknown(entry, ["title", "x", "y", "w", "h", "color", "members", "extra"]);
  return {
    id,
    title: typeof entry.title === "string" ? entry.title : "",
    x: number("x"),
    y: number("y"),
    width: number("w"),
    height: number("h"),
    ...(typeof entry.color === "string" && { color: entry.color }),
    members: listOf(entry.members).flatMap((one) => (typeof one === "string" && nodes.has(one) ? one : [])),
    extra: { ...(isObject(entry.extra) && { file: entry.extra }), ...(native && { native }) },
  };
}

function* readLinks(
  data: JsonObject,
  entries: JsonObject,
  nodes: ReadonlyMap<NodeId, GraphNode>,
  inputs: readonly Slot[],
  outputs: readonly Slot[],
): Steps<Map<string, Link>> {
  const links = new Map<string, Link>();
  let count = 0;
  const looks = objectOf(member(data.view, "links"));
  const add = (value: Json | undefined, to: NodeId, input: number) => {
    const [from, named] = listOf(value);
    if (typeof from !== "string") return;
    const slots = from === INPUTS ? inputs : nodes.get(from)?.outputs;
    const output = typeof named === "number" ? named : (slots?.findIndex((slot) => slot.name === named) ?? -1);
    const slot = slots?.[output];
    if (slot === undefined) return;
    const look = objectOf(member(looks, `${to} ${input}`));
    const id = String(links.size + 1);
    links.set(id, {
      id,
      from,
      output,
      to,
      input,
      type: slot.type,
      ...(Array.isArray(look.bends) && { bends: look.bends as unknown as NonNullable<Link["bends"]> }),
      ...(look.hidden === true && { hidden: true }),
      ...(typeof look.portal === "string" && look.portal !== "" && { portal: look.portal }),
    });
  };
  for (const node of nodes.values()) {
    if (++count % AT_A_TIME === 0) yield 0.6 + (0.4 * count) / nodes.size;
    const given = objectOf(member(entries[node.id], "inputs"));
    for (const place of node.inputs.keys()) {
      const value = member(given, slotKey(node.inputs, place));
      if (Array.isArray(value)) add(value as Json, node.id, place);
    }
  }
  for (const place of outputs.keys()) add(listOf(data.exits)[place], OUTPUTS, place);
  return links;
}

function unknown(entry: JsonObject, known: readonly string[]): JsonObject | undefined {
  const others = Object.entries(entry).filter(([key]) => !known.includes(key));
  return others.length > 0 ? Object.fromEntries(others) : undefined;
}
