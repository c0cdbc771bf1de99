import { DYNAMIC_CHOICE, effectiveInputs } from "../document/specs";
import type { GraphNode, InputSpec, NodeSpec } from "../document/types";
import { hasControl } from "../document/widgets";

/** Measures of a node in graph units; the style sheet and the canvas both follow them. */
export const TITLE = 32;
export const ROW = 24;
export const WIDGET = 30;
export const PAD = 8;
export const GRID = 20;
export const MIN_WIDTH = 160;
const MULTILINE = 96;
const PICTURE_INPUT = 168;
const COLLAPSED_WIDTH = 180;

export type WidgetKind =
  "number" | "slider" | "toggle" | "combo" | "text" | "multiline" | "color" | "seed" | "image" | "file" | "raw";

export interface WidgetRow {
  readonly spec: InputSpec;
  readonly kind: WidgetKind;
  /** Index of the slot of the same name in the node's inputs, or -1 while the widget has no slot. */
  readonly slot: number;
  readonly y: number;
  readonly height: number;
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
  readonly socketRows: number;
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

function heightOf(kind: WidgetKind): number {
  if (kind === "multiline") return MULTILINE;
  return kind === "image" ? PICTURE_INPUT : WIDGET;
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

function collapsedLayout(node: GraphNode): NodeLayout {
  return {
    inputY: new Float32Array(node.inputs.length).fill(TITLE / 2),
    outputY: new Float32Array(node.outputs.length).fill(TITLE / 2),
    widgets: [],
    width: Math.min(node.width, COLLAPSED_WIDTH),
    height: TITLE,
    contentHeight: TITLE,
    socketRows: 0,
  };
}

/** Lays out one node. Spare height goes to its multiline texts, as the reader of a long prompt expects. */
export function layoutNode(node: GraphNode, spec: NodeSpec | undefined): NodeLayout {
  if (node.collapsed === true) return collapsedLayout(node);
  const specs = widgetSpecs(node, spec);
  const inputY = new Float32Array(node.inputs.length);
  const outputY = new Float32Array(node.outputs.length);
  const slotOf = new Map<string, number>();
  const asWidget = new Set(specs.map((input) => input.name));
  let sockets = 0;
  node.inputs.forEach((slot, index) => {
    const name = slot.widget ?? slot.name;
    slotOf.set(name, index);
    if (!asWidget.has(name)) inputY[index] = TITLE + PAD + sockets++ * ROW + ROW / 2;
  });
  node.outputs.forEach((_, index) => (outputY[index] = TITLE + PAD + index * ROW + ROW / 2));
  const rows = Math.max(sockets, node.outputs.length);
  const top = TITLE + PAD + rows * ROW + (rows > 0 && specs.length > 0 ? PAD / 2 : 0);
  const kinds = specs.map((input) => (spec === undefined ? "raw" : widgetKind(input)));
  const content = kinds.reduce((sum, kind) => sum + heightOf(kind), top) + PAD;
  const height = Math.max(content, node.height ?? 0);
  const stretchy = kinds.filter((kind) => kind === "multiline" || kind === "image").length;
  const spare = stretchy > 0 ? (height - content) / stretchy : 0;
  let y = top;
  const widgets = specs.map((input, index): WidgetRow => {
    const kind = kinds[index] ?? "raw";
    const own = heightOf(kind) + (kind === "multiline" || kind === "image" ? spare : 0);
    const slot = slotOf.get(input.name) ?? -1;
    if (slot >= 0) inputY[slot] = y + WIDGET / 2;
    const row = { spec: input, kind, slot, y, height: own };
    y += own;
    return row;
  });
  return { inputY, outputY, widgets, width: Math.max(node.width, MIN_WIDTH), height, contentHeight: content, socketRows: rows };
}
