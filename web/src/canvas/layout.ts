import { DYNAMIC_CHOICE, effectiveInputs } from "../document/specs";
import type { GraphNode, InputSpec, NodeSpec } from "../document/types";
import { hasControl } from "../document/widgets";

/** Measures of a node in graph units; the style sheet and the canvas both follow them. */
export const TITLE = 30;
export const ROW = 24;
export const WIDGET = 30;
export const PAD = 6;
export const GRID = 20;
export const MIN_WIDTH = 160;
/** Rows of a node whose saved height has no room for more: those of the ecosystem's files, so that neighbours do not overlap. */
const TIGHT_ROW = 20;
const TIGHT_WIDGET = 24;
const MULTILINE = 96;
const TIGHT_MULTILINE = 54;
const PICTURE_INPUT = 200;
const PICTURE_LEAST = 96;
const COLLAPSED_WIDTH = 180;
const REROUTE_WIDTH = 104;

export type WidgetKind =
  "number" | "slider" | "toggle" | "combo" | "text" | "multiline" | "color" | "seed" | "image" | "file" | "raw";

export interface WidgetRow {
  readonly spec: InputSpec;
  readonly kind: WidgetKind;
  /** Index of the slot of the same name in the node's inputs, or -1 while the widget has no slot. */
  readonly slot: number;
  readonly y: number;
  readonly height: number;
  /** Where its port lies. */
  readonly portY: number;
}

/** Where the parts of one node lie, relative to its top left corner. */
export interface NodeLayout {
  readonly inputY: Float32Array;
  readonly outputY: Float32Array;
  readonly widgets: readonly WidgetRow[];
  readonly width: number;
  /** Height of title, sockets and widgets together, pictures not counted. */
  readonly height: number;
  readonly contentHeight: number;
  /** Less than this the node cannot be. */
  readonly leastHeight: number;
}

/** Chooses the widget for an input from its type and its options. */
export function widgetKind(spec: InputSpec): WidgetKind {
  const options = spec.options;
  if (options["image_upload"] === true) return "image";
  if (spec.choices !== undefined) return "combo";
  switch (spec.type) {
    case "INT":
      if (hasControl(spec)) return "seed";
      return options["display"] === "slider" ? "slider" : options["display"] === "color" ? "color" : "number";
    case "FLOAT":
      return options["display"] === "slider" ? "slider" : "number";
    case "BOOLEAN":
      return "toggle";
    case "COLOR":
      return "color";
    case "COMBO":
      return "combo";
    case "STRING":
      if (spec.multiline === true) return "multiline";
      return options["display"] === "color" ? "color" : options["file_upload"] === true ? "file" : "text";
    default:
      return "raw";
  }
}

/** Height a widget needs, from 0, tight, to 1, at ease; a picture takes more where the node has no height of its own. */
function heightOf(kind: WidgetKind, ease: number, free: boolean): number {
  if (kind === "multiline") return TIGHT_MULTILINE + (MULTILINE - TIGHT_MULTILINE) * ease;
  if (kind === "image") return free ? PICTURE_INPUT : PICTURE_LEAST;
  return Math.floor(TIGHT_WIDGET + (WIDGET - TIGHT_WIDGET) * ease);
}

/** Lists the inputs of a node that are widgets, in the order of its type; those of an unknown type are its raw values. */
export function widgetSpecs(node: GraphNode, spec: NodeSpec | undefined): readonly InputSpec[] {
  if (spec === undefined) {
    const names = Object.keys(node.values).filter((name) => !name.endsWith(":control"));
    return names.map((name) => ({ name, type: "", group: "required", widget: true, options: {} }) as const);
  }
  const sockets = new Set(node.inputs.flatMap((slot) => (slot.widget === undefined ? [slot.name] : [])));
  const inputs = effectiveInputs(spec.inputs, node.values, () => false);
  return inputs.filter((input) => input.widget && input.group !== "hidden" && !sockets.has(input.name));
}

/** True when the values of a node decide which inputs it has. */
export function valuesShape(spec: NodeSpec | undefined): boolean {
  return spec === undefined || spec.inputs.some((input) => input.type.startsWith(DYNAMIC_CHOICE));
}

/** A node of which only the title bar is shown, its ports at both ends. */
export function isSmall(node: GraphNode): boolean {
  return node.collapsed === true || node.type === "Reroute";
}

function collapsedLayout(node: GraphNode): NodeLayout {
  return {
    inputY: new Float32Array(node.inputs.length).fill(TITLE / 2),
    outputY: new Float32Array(node.outputs.length).fill(TITLE / 2),
    widgets: [],
    width: node.type === "Reroute" ? REROUTE_WIDTH : Math.min(node.width, COLLAPSED_WIDTH),
    height: TITLE,
    contentHeight: TITLE,
    leastHeight: TITLE,
  };
}

/**
 * Lays out one node. Rows are at ease where the node has the height for it and tight where a file left none; spare
 * height goes to multiline texts and pictures, as the reader of a long prompt expects.
 */
export function layoutNode(node: GraphNode, spec: NodeSpec | undefined): NodeLayout {
  if (isSmall(node)) return collapsedLayout(node);
  const specs = widgetSpecs(node, spec);
  const kinds = specs.map((input) => (spec === undefined ? "raw" : widgetKind(input)));
  const asWidget = new Set(specs.map((input) => input.name));
  const sockets = node.inputs.filter((slot) => !asWidget.has(slot.widget ?? slot.name)).length;
  const rows = Math.max(sockets, node.outputs.length);
  const free = node.height === null;
  const need = (ease: number): number => {
    const head = TITLE + 2 * PAD + rows * rowHeight(ease) + (rows > 0 && specs.length > 0 ? PAD / 2 : 0);
    return kinds.reduce((sum, kind) => sum + heightOf(kind, ease, free), head);
  };
  const least = need(0);
  const most = need(1);
  const ease = free ? 1 : Math.min(1, Math.max(0, ((node.height ?? 0) - least) / Math.max(1, most - least)));
  const content = need(ease);
  const height = Math.max(content, node.height ?? 0);
  const stretchy = kinds.filter((kind) => kind === "multiline" || kind === "image").length;
  const spare = stretchy > 0 ? (height - content) / stretchy : 0;

  const row = rowHeight(ease);
  const inputY = new Float32Array(node.inputs.length);
  const outputY = new Float32Array(node.outputs.length);
  const slotOf = new Map<string, number>();
  let socket = 0;
  node.inputs.forEach((slot, index) => {
    const name = slot.widget ?? slot.name;
    slotOf.set(name, index);
    if (!asWidget.has(name)) inputY[index] = TITLE + PAD + socket++ * row + row / 2;
  });
  node.outputs.forEach((_, index) => (outputY[index] = TITLE + PAD + index * row + row / 2));
  let y = TITLE + PAD + rows * row + (rows > 0 && specs.length > 0 ? PAD / 2 : 0);
  const widgets = specs.map((input, index): WidgetRow => {
    const kind = kinds[index] ?? "raw";
    const own = heightOf(kind, ease, free) + (kind === "multiline" || kind === "image" ? spare : 0);
    const slot = slotOf.get(input.name) ?? -1;
    const portY = y + Math.min(own, WIDGET) / 2 - 1;
    if (slot >= 0) inputY[slot] = portY;
    const placed = { spec: input, kind, slot, y, height: own, portY };
    y += own;
    return placed;
  });
  const width = Math.max(node.width, MIN_WIDTH);
  return { inputY, outputY, widgets, width, height, contentHeight: content, leastHeight: least };
}

function rowHeight(ease: number): number {
  return Math.floor(TIGHT_ROW + (ROW - TIGHT_ROW) * ease);
}
