/** Writing one node: its entry in the file with the fields that were edited replaced. */
import { fileMode, fileOf, flagOf, modeOf, pairOf, spelledPair, titleAbove } from "../fileRecords";
import { fileId, idOf, isObject, listOf, objectOf, sameJson } from "../json";
import { DEFAULT_WIDTH } from "../read/nodes";
import { instancePlaces, proxiesOf, proxyName, widgetInputs } from "../read/instances";
import type { Graph, GraphNode, Json, JsonObject, NodeSpec, Specs, Workflow } from "../types";
import { controlName, declaredWidgets, filterName, isEditorValue, nestedWidgets, type Widget } from "../widgets";

type Fields = Record<string, Json>;

export function writeNode(
  workflow: Workflow,
  node: GraphNode,
  specs: Specs,
  slots: { inputs: Json[]; outputs: Json[] },
): Json {
  const file = fileOf(node);
  // An entry that came by way of a native document holds only what that has no place for.
  const out: Fields = file === undefined || file.id === undefined ? { ...fresh(node), ...file } : { ...file };
  if (file?.id !== undefined) writeView(out, node, file);
  for (const key of ["inputs", "outputs"] as const) {
    if (slots[key].length > 0 || Array.isArray(out[key])) out[key] = slots[key];
  }
  const definition = workflow.graphs.get(node.type);
  const values = writeValues(node, out.widgets_values, specs.get(node.type), definition);
  if (values !== undefined) out.widgets_values = values;
  if (node.extra?.proxies !== undefined)
    out.properties = { ...objectOf(out.properties), proxyWidgets: node.extra.proxies };
  return out;
}

function fresh(node: GraphNode): Fields {
  const above = titleAbove(node.type);
  const flags: Fields = {};
  if (node.collapsed) flags.collapsed = true;
  if (node.pinned) flags.pinned = true;
  return {
    id: fileId(node.id),
    type: node.type,
    pos: [node.x, node.y + above],
    size: [node.width, (node.height ?? above + 20 + 26 * Math.max(node.inputs.length, node.outputs.length, 1)) - above],
    flags,
    order: 0,
    mode: fileMode(node.mode),
    inputs: [],
    outputs: [],
    properties: { "Node name for S&R": node.type },
    ...(node.title !== undefined && { title: node.title }),
    ...(node.color !== undefined && { color: node.color, bgcolor: node.color }),
  };
}

function writeView(out: Fields, node: GraphNode, file: JsonObject): void {
  if (idOf(file.id) !== node.id) out.id = fileId(node.id);
  out.type = node.type;
  const above = titleAbove(node.type);
  const place = pairOf(file.pos, "x", "y");
  // The same arithmetic as in reading, so that what was not moved compares equal to the last bit.
  if ((place?.[0] ?? 0) !== node.x || (place?.[1] ?? 0) - above !== node.y)
    out.pos = spelledPair(file.pos, node.x, node.y + above);
  const size = pairOf(file.size, "width", "height");
  const sameWidth = (size?.[0] ?? DEFAULT_WIDTH) === node.width;
  const sameHeight =
    size === undefined ? node.height === null : node.height === null || size[1] + above === node.height;
  if (!sameWidth || !sameHeight)
    out.size = spelledPair(file.size, node.width, node.height === null ? (size?.[1] ?? 100) : node.height - above);
  if (modeOf(file.mode) !== node.mode) out.mode = fileMode(node.mode);
  for (const flag of ["collapsed", "pinned"] as const) {
    if (flagOf(file, flag) === (node[flag] === true)) continue;
    const flags: Fields = { ...objectOf(out.flags) };
    if (node[flag] === true) flags[flag] = true;
    else delete flags[flag];
    out.flags = flags;
  }
  const title = typeof file.title === "string" && file.title !== "" ? file.title : undefined;
  if (title !== node.title) replace(out, "title", node.title);
  if ((typeof file.color === "string" ? file.color : undefined) !== node.color) {
    replace(out, "color", node.color);
    replace(out, "bgcolor", node.color);
  }
}

function replace(out: Fields, key: string, value: Json | undefined): void {
  if (value === undefined) delete out[key];
  else out[key] = value;
}

/** The saved values with those that changed replaced, or nothing when there is nothing to write. */
function writeValues(
  node: GraphNode,
  saved: Json | undefined,
  spec: NodeSpec | undefined,
  definition: Graph | undefined,
): Json | undefined {
  if (isObject(saved)) return writeMapping(node, saved);
  const places = listOf(node.extra?.places) as readonly (string | null)[];
  const list = listOf(saved);
  const placed = new Set(places);
  const fresh = Object.keys(node.values).filter((name) => !placed.has(name));
  if (fresh.length === 0 && inOrder(node, definition, list, places) && (list.length > 0 || Object.keys(node.values).length === 0)) {
    return list.length === 0 ? undefined : inPlace(node, list, places);
  }
  if (definition !== undefined) return writeInstance(node, definition);
  if (spec === undefined)
    return [
      ...inPlace(node, list, places),
      ...fresh.filter((name) => !isEditorValue(name)).map((name) => node.values[name]!),
    ];
  return writeDeclared(node, spec, list);
}

/** Whether a saved list would still be read as it was: the order of a subgraph's inputs names an instance's values. */
function inOrder(
  node: GraphNode,
  definition: Graph | undefined,
  list: readonly Json[],
  places: readonly (string | null)[],
): boolean {
  if (definition === undefined || places.length === 0) return true;
  const names = instancePlaces(node, definition, list.length);
  return places.every((name, place) => name === (names[place] ?? `#${place}`));
}

function inPlace(node: GraphNode, list: readonly Json[], places: readonly (string | null)[]): readonly Json[] {
  return list.map((before, place) => {
    const name = places[place];
    if (name === null || name === undefined) return before;
    const now = Object.hasOwn(node.values, name) ? node.values[name]! : null;
    return sameJson(before, now) ? before : now;
  });
}

function writeMapping(node: GraphNode, saved: JsonObject): Json {
  const out: Fields = { ...saved };
  const widgets = new Map(proxiesOf(node).map(([inner, widget]) => [proxyName(inner, widget), widget]));
  for (const [name, value] of Object.entries(node.values)) {
    const key = widgets.get(name) ?? name;
    if (!sameJson(out[key], value)) out[key] = value;
  }
  return out;
}

/** A list in the order of the type's widgets, with the places that only the ecosystem's editor has. */
function writeDeclared(node: GraphNode, spec: NodeSpec, saved: readonly Json[]): Json {
  const out: Json[] = [];
  const pending: Widget[] = [...declaredWidgets(spec, node.inputs)].reverse();
  for (let widget = pending.pop(); widget !== undefined; widget = pending.pop()) {
    const value = node.values[widget.name] ?? widget.default;
    if (widget.input !== undefined) pending.push(...nestedWidgets(widget.input, value).reverse());
    out.push(widget.sent ? (value ?? null) : widget.name === "upload" ? "image" : null);
    if (!widget.control) continue;
    out.push(node.values[controlName(widget.name)] ?? "fixed");
    if (widget.text) out.push(node.values[filterName(widget.name)] ?? "");
  }
  const names = listOf(node.extra?.places) as readonly (string | null)[];
  // Values behind the last known widget have no name that could move them: they stay at the end.
  return [...out, ...saved.filter((_, place) => /^#\d+$/.test(names[place] ?? ""))];
}

function writeInstance(node: GraphNode, definition: Graph): Json {
  const shown = proxiesOf(node).map(([inner, widget]) => proxyName(inner, widget));
  const names = [...widgetInputs(definition).filter((name) => !shown.includes(name)), ...shown];
  return names.map((name) => node.values[name] ?? null);
}
