/** Writing the native form. */
import { linkIndex } from "../adjacency";
import { fileOf } from "../fileRecords";
import { objectOf, withEntry } from "../json";
import { byId, VERSION, wrap } from "../nativeForm";
import { isEditorValue } from "../widgets";
import {
  OUTPUTS,
  INPUTS,
  ROOT,
  type Graph,
  type GraphNode,
  type Group,
  type Json,
  type JsonObject,
  type Link,
  type Slot,
  type Workflow,
} from "../types";

type Fields = Record<string, Json>;

/** What the native form has places of its own for; the rest of an ecosystem entry goes along. */
const NODE_KEYS = new Set([
  "id",
  "type",
  "pos",
  "size",
  "order",
  "mode",
  "inputs",
  "outputs",
  "widgets_values",
  "title",
  "color",
  "bgcolor",
]);
const GRAPH_KEYS = new Set([
  "id",
  "name",
  "nodes",
  "links",
  "groups",
  "inputs",
  "outputs",
  "definitions",
  "last_node_id",
  "last_link_id",
  "version",
  "state",
  "reroutes",
]);

export function writeNative(workflow: Workflow): JsonObject {
  const root = workflow.graphs.get(ROOT)!;
  const definitions: Fields = {};
  for (const graph of workflow.graphs.values()) {
    if (graph.id !== ROOT) withEntry(definitions, graph.id, writeGraph(graph));
  }
  const written = writeGraph(root);
  const bookmarks = workflow.bookmarks as unknown as Json | undefined;
  return {
    ...objectOf(workflow.extra?.native),
    safelight: VERSION,
    ...written,
    ...(bookmarks !== undefined && { view: { ...objectOf(written.view), bookmarks } }),
    ...(Object.keys(definitions).length > 0 && { definitions }),
    ...(workflow.form.length > 0 && { form: workflow.form as unknown as Json }),
  };
}

function writeGraph(graph: Graph): JsonObject {
  const nodes: Fields = {};
  const places: Fields = {};
  const links: Fields = {};
  const groups: Fields = {};
  const index = linkIndex(graph.links);
  for (const id of [...graph.nodes.keys()].sort(byId)) {
    const node = graph.nodes.get(id)!;
    withEntry(nodes, id, writeNode(graph, node, index.of(id).in));
    withEntry(places, id, writePlace(node));
  }
  for (const link of graph.links.values()) {
    const look: Fields = {
      ...(link.bends !== undefined && link.bends.length > 0 && { bends: link.bends as unknown as Json }),
      ...(link.hidden === true && { hidden: true }),
      ...(link.portal !== undefined && { portal: link.portal }),
    };
    if (Object.keys(look).length > 0) withEntry(links, `${link.to} ${link.input}`, look);
  }
  for (const group of graph.groups.values()) withEntry(groups, group.id, writeGroup(group));
  const exits = graph.outputs.map((_, place) => {
    const link = index.into(OUTPUTS, place);
    return link === undefined ? null : origin(graph, link);
  });
  const meta = rest(fileOf(graph), GRAPH_KEYS);
  return {
    ...objectOf(graph.extra?.native),
    nodes,
    ...(graph.id !== ROOT && {
      name: graph.name,
      inputs: graph.inputs.map(writeSlot),
      outputs: graph.outputs.map(writeSlot),
      exits,
    }),
    ...(Object.keys(meta).length > 0 && { meta }),
    view: {
      ...objectOf(graph.extra?.view),
      nodes: places,
      ...(Object.keys(links).length > 0 && { links }),
      ...(Object.keys(groups).length > 0 && { groups }),
      ...(graph.borders !== undefined && { borders: graph.borders as unknown as Json }),
    },
  };
}

/** The name under which an input slot stands; its place where names do not tell slots apart. */
export function slotKey(slots: readonly Slot[], place: number): string {
  const name = slots[place]!.name;
  return slots.findIndex((slot) => slot.name === name) === place && !name.startsWith("@") ? name : `@${place}`;
}

function writeNode(graph: Graph, node: GraphNode, incoming: readonly Link[]): JsonObject {
  const inputs: Fields = {};
  const kept: Fields = {};
  for (const [name, value] of Object.entries(node.values))
    withEntry(isEditorValue(name) ? kept : inputs, name, wrap(value));
  for (const link of incoming) {
    const key = slotKey(node.inputs, link.input);
    if (Object.hasOwn(inputs, key)) withEntry(kept, key, inputs[key]!);
    withEntry(inputs, key, origin(graph, link));
  }
  return {
    ...objectOf(node.extra?.native),
    type: node.type,
    inputs,
    ...(Object.keys(kept).length > 0 && { kept }),
    ...(node.mode !== "always" && { mode: node.mode }),
    slots: { in: node.inputs.map(writeSlot), out: node.outputs.map(writeSlot) },
    ...(node.extra?.proxies !== undefined && { proxies: node.extra.proxies }),
  };
}

function writeSlot(slot: Slot): JsonObject {
  return {
    ...objectOf(slot.extra?.native),
    name: slot.name,
    type: slot.type,
    ...(slot.label !== undefined && { label: slot.label }),
    ...(slot.widget !== undefined && { widget: slot.widget }),
  };
}

/** Where a link starts: the output by name, or by place where another has the same name. */
function origin(graph: Graph, link: Link): Json {
  const slots = link.from === INPUTS ? graph.inputs : graph.nodes.get(link.from)!.outputs;
  const name = slots[link.output]!.name;
  return [link.from, slots.filter((slot) => slot.name === name).length === 1 ? name : link.output];
}

function writePlace(node: GraphNode): JsonObject {
  const extra = rest(fileOf(node), NODE_KEYS);
  return {
    ...objectOf(node.extra?.view),
    x: node.x,
    y: node.y,
    w: node.width,
    ...(node.height !== null && { h: node.height }),
    ...(node.title !== undefined && { title: node.title }),
    ...(node.collapsed === true && { collapsed: true }),
    ...(node.pinned === true && { pinned: true }),
    ...(node.color !== undefined && { color: node.color }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

function writeGroup(group: Group): JsonObject {
  const extra = rest(fileOf(group), new Set(["id", "title", "bounding", "color", "members"]));
  return {
    ...objectOf(group.extra?.native),
    title: group.title,
    x: group.x,
    y: group.y,
    w: group.width,
    h: group.height,
    ...(group.color !== undefined && { color: group.color }),
    members: [...group.members].sort(byId),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

function rest(file: JsonObject | undefined, known: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(Object.entries(file ?? {}).filter(([key]) => !known.has(key)));
}
