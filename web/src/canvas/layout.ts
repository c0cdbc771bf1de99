import type { ShownInput } from "../document/shown";
import { DYNAMIC_CHOICE } from "../document/specs";
import type { GraphNode, InputSpec, NodeSpec } from "../document/types";
import { hasControl } from "../document/widgets";

/** Measures of a node in graph units; the style sheet and the canvas both follow them. */
export const TITLE = 30;
export const ROW = 24;
export const WIDGET = 30;
export const PAD = 6;
export const GRID = 20;
export const MIN_WIDTH = 160;
const WIDEST = 8000;
export const TALLEST = 20_000;
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
  readonly label: string;
  /** Under this name the node holds what becomes of the value after a run. */
  readonly control: string | undefined;
  readonly kind: WidgetKind;
  /** Index of the slot of the same name in the node's inputs, or -1 while the widget has no slot. */
  readonly slot: number;
  readonly y: number;
  readonly height: number;
  /** Where its port lies. */
  readonly portY: number;
}

/** An input that may be linked and has no slot yet: that of a widget, or the next socket of a growing input. */
export interface LooseInput {
  readonly spec: InputSpec;
  readonly y: number;
}

/** Where the parts of one node lie, relative to its top left corner. */
export interface NodeLayout {
  readonly inputY: Float32Array;
  readonly outputY: Float32Array;
  readonly widgets: readonly WidgetRow[];
  readonly loose: readonly LooseInput[];
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
    loose: [],
    width: node.type === "Reroute" ? REROUTE_WIDTH : Math.max(REROUTE_WIDTH, Math.min(node.width || 0, COLLAPSED_WIDTH)),
    height: TITLE,
    contentHeight: TITLE,
    leastHeight: TITLE,
  };
}

/**
 * Lays out one node. Rows are at ease where the node has the height for it and tight where a file left none; spare
 * height goes to multiline texts and pictures, as the reader of a long prompt expects.
 */
export function layoutNode(node: GraphNode, shown: readonly ShownInput[], known: boolean): NodeLayout {
  if (isSmall(node)) return collapsedLayout(node);
  const fields = shown.filter(({ input }) => input.widget);
  const growing = shown.filter(({ input, slot }) => !input.widget && slot === undefined && input.type !== "");
  const kinds = fields.map(({ input }) => (known ? widgetKind(input) : "raw"));
  const asWidget = new Set(fields.map(({ slot }) => slot));
  const sockets = node.inputs.filter((_, index) => !asWidget.has(index)).length;
  const rows = Math.max(sockets + growing.length, node.outputs.length);
  const gap = rows > 0 && fields.length > 0 ? PAD / 2 : 0;
  const free = node.height === null;
  const need = (ease: number): number =>
    kinds.reduce((sum, kind) => sum + heightOf(kind, ease, free), TITLE + 2 * PAD + rows * rowHeight(ease) + gap);
  const least = need(0);
  const most = need(1);
  const ease = free ? 1 : Math.min(1, Math.max(0, ((node.height ?? 0) - least) / Math.max(1, most - least)));
  const content = need(ease);
  const height = Math.max(content, Math.min(node.height ?? 0, TALLEST) || 0);
  const stretchy = kinds.filter((kind) => kind === "multiline" || kind === "image").length;
  const spare = stretchy > 0 ? (height - content) / stretchy : 0;

  const row = rowHeight(ease);
  const inputY = new Float32Array(node.inputs.length);
  const outputY = new Float32Array(node.outputs.length);
  let socket = 0;
  const nextSocket = (): number => TITLE + PAD + socket++ * row + row / 2;
  node.inputs.forEach((_, index) => {
    if (!asWidget.has(index)) inputY[index] = nextSocket();
  });
  node.outputs.forEach((_, index) => (outputY[index] = TITLE + PAD + index * row + row / 2));
  const loose: LooseInput[] = growing.map(({ input }) => ({ spec: input, y: nextSocket() }));
  let y = TITLE + PAD + rows * row + gap;
  const widgets = fields.map(({ input, slot, label, control }, index): WidgetRow => {
    const kind = kinds[index] ?? "raw";
    const own = heightOf(kind, ease, free) + (kind === "multiline" || kind === "image" ? spare : 0);
    const portY = y + Math.min(own, WIDGET) / 2 - 1;
    if (slot !== undefined) inputY[slot] = portY;
    else if (kind !== "raw") loose.push({ spec: input, y: portY });
    const placed = { spec: input, label, control, kind, slot: slot ?? -1, y, height: own, portY };
    y += own;
    return placed;
  });
  const width = Math.min(Math.max(node.width || 0, MIN_WIDTH), WIDEST);
  return { inputY, outputY, widgets, loose, width, height, contentHeight: content, leastHeight: least };
}

function rowHeight(ease: number): number {
  return Math.floor(TIGHT_ROW + (ROW - TIGHT_ROW) * ease);
}

/** True when two records of a node differ in place or values only. */
export function sameShape(a: GraphNode, b: GraphNode): boolean {
  return (
    a.type === b.type && a.mode === b.mode && a.inputs === b.inputs && a.outputs === b.outputs && a.width === b.width &&
    a.height === b.height && a.title === b.title && a.collapsed === b.collapsed && a.pinned === b.pinned && a.color === b.color
  );
}
