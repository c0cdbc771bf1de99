/** Reading one saved node: its slots, its view and its widget values by name. */
import { fileOf, flagOf, modeOf, pairOf, titleAbove, typeOf } from "../fileRecords";
import { idOf, isObject, listOf, member, withEntry } from "../json";
import type { GraphNode, Json, JsonObject, NodeSpec, Slot } from "../types";
import { controlName, filterName, isSentEntry, placeName, placesOf, savedWidgets } from "../widgets";

/** A primitive node stands for the widget that it is wired to. */
const PRIMITIVE_PLACES = ["value", controlName("value"), filterName("value")];

export const DEFAULT_WIDTH = 210;

export function readNode(entry: Json): GraphNode | undefined {
  if (!isObject(entry)) return undefined;
  const id = idOf(entry.id);
  const type = entry.type;
  if (id === undefined || typeof type !== "string" || type === "") return undefined;
  const [x, y] = pairOf(entry.pos, "x", "y") ?? [0, 0];
  const size = pairOf(entry.size, "width", "height");
  const above = titleAbove(type);
  return {
    id,
    type,
    mode: modeOf(entry.mode),
    values: {},
    inputs: listOf(entry.inputs).map(readSlot),
    outputs: listOf(entry.outputs).map(readSlot),
    x,
    y: y - above,
    width: size?.[0] ?? DEFAULT_WIDTH,
    height: size === undefined ? null : size[1] + above,
    ...(typeof entry.title === "string" && entry.title !== "" && { title: entry.title }),
    ...(flagOf(entry, "collapsed") && { collapsed: true }),
    ...(flagOf(entry, "pinned") && { pinned: true }),
    ...(typeof entry.color === "string" && { color: entry.color }),
    extra: {
      file: {
        ...entry,
        ...(Array.isArray(entry.inputs) && { inputs: [] }),
        ...(Array.isArray(entry.outputs) && { outputs: [] }),
      },
    },
  };
}

export function readSlot(entry: Json): Slot {
  const name = member(entry, "name");
  const label = member(entry, "label");
  const widget = member(entry, "widget");
  const named = isObject(widget) ? (widget.name ?? name) : undefined;
  return {
    name: typeof name === "string" ? name : "",
    type: typeOf(member(entry, "type")),
    ...(typeof label === "string" && { label }),
    ...(typeof named === "string" && { widget: named }),
    extra: { file: entry },
  };
}

/** The node with its values named, and with the sockets that its type has and the file leaves out. */
export function padded(node: GraphNode, spec: NodeSpec | undefined): GraphNode {
  const saved = fileOf(node)?.widgets_values;
  const named = Array.isArray(saved) ? fromList(node, spec, saved as readonly Json[]) : fromObject(node, spec, saved);
  if (spec === undefined) return { ...node, ...named };
  const has = new Set(node.inputs.map((slot) => slot.name));
  const inputs = spec.inputs.filter(
    (input) => input.group !== "hidden" && !input.widget && !input.type.startsWith("COMFY_") && !has.has(input.name),
  );
  const outputs = spec.outputs.slice(node.outputs.length);
  return {
    ...node,
    ...named,
    inputs: inputs.length === 0 ? node.inputs : [...node.inputs, ...inputs.map((one) => missing(one.name, one.type))],
    outputs:
      outputs.length === 0 ? node.outputs : [...node.outputs, ...outputs.map((one) => missing(one.name, one.type))],
  };
}

function missing(name: string, type: string): Slot {
  return { name, type, extra: { padded: true } };
}

function fromList(
  node: GraphNode,
  spec: NodeSpec | undefined,
  list: readonly Json[],
): Pick<GraphNode, "values" | "extra"> {
  const places =
    node.type === "PrimitiveNode"
      ? list.map((_, place) => PRIMITIVE_PLACES[place] ?? placeName(place))
      : placesOf(spec, node.inputs, list);
  return { values: valuesAt(places, list), extra: { ...node.extra, ...(places.length > 0 && { places }) } };
}

export function valuesAt(places: readonly (string | null)[], list: readonly Json[]): Record<string, Json> {
  const values: Record<string, Json> = {};
  for (const [place, name] of places.entries()) {
    if (name !== null && list[place] !== undefined) withEntry(values, name, list[place]);
  }
  return values;
}

function fromObject(
  node: GraphNode,
  spec: NodeSpec | undefined,
  saved: Json | undefined,
): Pick<GraphNode, "values" | "extra"> {
  if (!isObject(saved)) return { values: node.values, extra: node.extra! };
  const widgets = savedWidgets(spec, node.inputs, saved);
  const values: Record<string, Json> = {};
  for (const [name, value] of Object.entries(saved as JsonObject)) {
    if (isSentEntry(name, value, widgets, spec)) withEntry(values, name, value);
  }
  return { values, extra: node.extra! };
}
