/**
 * Widget values by position: which place of a saved list belongs to which widget.
 *
 * A saved node lists the values of its widgets in the order of its type's inputs, with values of widgets that only
 * the editor has in between: what to do with a seed after a run, upload and refresh buttons.
 */
import { isObject, objectOf } from "./json";
import { defaultOf, EDITOR_WIDGETS, DYNAMIC_CHOICE, nestedInputs } from "./specs";
import type { InputSpec, Json, NodeSpec, Slot } from "./types";

export const CONTROL_MODES: readonly string[] = ["fixed", "increment", "decrement", "randomize", "increment-wrap"];
const CONTROL_NAMES: ReadonlySet<string> = new Set([
  "control_after_generate",
  "control_before_generate",
  "control_filter_list",
]);
const SEED_NAMES: ReadonlySet<string> = new Set(["seed", "noise_seed"]);
const UPLOADS = ["image_upload", "video_upload", "audio_upload", "animated_image_upload"];

/** Widgets that the ecosystem's editor adds after the required inputs of these types, and sends. */
const ADDED_WIDGETS: ReadonlyMap<string, readonly [string, Json]> = new Map([
  ["SaveGLB", ["image", ""]],
  ["Preview3D", ["image", ""]],
  ["Preview3DAnimation", ["image", ""]],
  ["LoadAudio", ["audioUI", ""]],
  ["SaveAudio", ["audioUI", ""]],
  ["SaveAudioMP3", ["audioUI", ""]],
  ["SaveAudioOpus", ["audioUI", ""]],
  ["PreviewAudio", ["audioUI", ""]],
]);

/** Under this name a node's values hold what becomes of `input` after a run: one of `CONTROL_MODES`. */
export function controlName(input: string): string {
  return `${input}:control`;
}

/** Under this name: the text that narrows the choices which a control runs through. */
export function filterName(input: string): string {
  return `${input}:filter`;
}

/** The name of a value that is only known by its place in the saved list. */
export function placeName(place: number): string {
  return `#${place}`;
}

/** Whether a name in a node's values belongs to the editor alone and is never sent. */
export function isEditorValue(name: string): boolean {
  return name.endsWith(":control") || name.endsWith(":filter") || /^#\d+$/.test(name);
}

export interface Widget {
  readonly name: string;
  readonly default: Json | undefined;
  readonly sent: boolean;
  readonly control: boolean;
  readonly text: boolean;
  readonly input?: InputSpec;
}

type Values = readonly Json[] | { readonly [key: string]: Json };

/** Whether a widget has a control of what becomes of its value after a run. */
export function hasControl(input: InputSpec): boolean {
  const declared = input.options.control_after_generate;
  return Boolean(declared) || (input.type === "INT" && SEED_NAMES.has(input.name) && declared !== false);
}

/** Widgets of a type in the order of the saved list. */
export function declaredWidgets(spec: NodeSpec, slots: readonly Slot[]): readonly Widget[] {
  const sockets = new Set(slots.flatMap((slot) => (slot.widget === undefined ? slot.name : [])));
  const found: Widget[] = [];
  const added = ADDED_WIDGETS.get(spec.type);
  const between: Widget[] = [];
  if (added !== undefined && !spec.inputs.some((input) => input.name === added[0]))
    between.push(plain(added[0], added[1]));
  if (spec.inputs.some((input) => UPLOADS.some((key) => Boolean(input.options[key])))) {
    between.push({ ...plain("upload", undefined), sent: false });
  }
  for (const input of spec.inputs) {
    if (input.group !== "required") found.push(...between.splice(0));
    if (shows(input, sockets)) found.push(...widgetsOfInput(input));
  }
  return [...found, ...between];
}

/** The widgets behind a saved list: those of the type, unless the node's own slots fit the list and the type does not. */
export function savedWidgets(spec: NodeSpec | undefined, slots: readonly Slot[], values: Values): readonly Widget[] {
  const own = ownWidgets(slots);
  const declared = spec === undefined ? own : declaredWidgets(spec, slots);
  if (spec === undefined || !Array.isArray(values)) return declared;
  const list = values as readonly Json[];
  const { rest } = takePlaces(declared, list);
  const places = declared.filter((widget) => widget.sent).length;
  if (own.length > 0 && (rest > 0 || places > list.length) && fits(own, list)) {
    const known = new Map(declared.map((widget) => [widget.name, widget]));
    return own.map((widget) => known.get(widget.name) ?? widget);
  }
  return declared;
}

/** Names each place of a saved list; null for places of widgets that hold nothing, "#n" for those without a widget. */
export function placesOf(
  spec: NodeSpec | undefined,
  slots: readonly Slot[],
  list: readonly Json[],
): readonly (string | null)[] {
  const widgets = savedWidgets(spec, slots, list);
  const unnamed = list.map((_, place) => placeName(place));
  if (spec === undefined && !fits(widgets, list)) return unnamed;
  const { names } = takePlaces(widgets, list);
  return unnamed.map((name, place) => (names[place] === undefined ? name : names[place]!));
}

/** Dict-form values that are state of a widget and not a value. */
export function isSentEntry(
  name: string,
  value: Json,
  widgets: readonly Widget[],
  spec: NodeSpec | undefined,
): boolean {
  const widget = widgets.find((one) => one.name === name);
  if (widget !== undefined) return widget.sent;
  return !CONTROL_NAMES.has(name) && !(isObject(value) && spec !== undefined);
}

function takePlaces(widgets: readonly Widget[], list: readonly Json[]): { names: (string | null)[]; rest: number } {
  const names: (string | null)[] = [];
  const pending = [...widgets].reverse();
  let at = 0;
  for (let widget = pending.pop(); widget !== undefined; widget = pending.pop()) {
    const value = at < list.length ? list[at] : undefined;
    if (at < list.length) names[at++] = widget.sent ? widget.name : null;
    if (widget.input?.type.startsWith(DYNAMIC_CHOICE)) {
      pending.push(...nestedWidgets(widget.input, value ?? widget.default).reverse());
    }
    if (at < list.length) at = skipControl(widget, pending.at(-1), list, at, names);
  }
  return { names, rest: list.length - at };
}

/** Very old files hold true or false for a control; files of editors without such a place go straight on. */
function skipControl(
  widget: Widget,
  following: Widget | undefined,
  list: readonly Json[],
  at: number,
  names: (string | null)[],
): number {
  const head = list[at];
  const isMode = typeof head === "string" && CONTROL_MODES.includes(head);
  const textFollows = following?.text === true;
  if (widget.control) {
    if (!isMode && typeof head !== "boolean") return at;
    names[at++] = controlName(widget.name);
    if (widget.text && typeof list[at] === "string" && !textFollows) names[at++] = filterName(widget.name);
  } else if (isMode && widget.sent && !widget.text && !textFollows) names[at++] = controlName(widget.name);
  return at;
}

export function nestedWidgets(input: InputSpec, value: Json | undefined): Widget[] {
  return nestedInputs(input, value).flatMap((one) => (shows(one, new Set()) ? widgetsOfInput(one) : []));
}

function widgetsOfInput(input: InputSpec): Widget[] {
  const remote = input.options.remote;
  const found: Widget[] = [
    {
      name: input.name,
      default: defaultOf(input),
      sent: true,
      control: hasControl(input),
      text: input.type === "STRING" || input.type === "COMBO",
      input,
    },
  ];
  if (isObject(remote)) {
    found.push({ ...plain("auto-refresh", undefined), sent: false });
    if (objectOf(remote).refresh_button) found.push(plain("refresh", "refresh"));
  }
  return found;
}

function ownWidgets(slots: readonly Slot[]): readonly Widget[] {
  return slots.flatMap((slot): Widget | [] =>
    slot.widget === undefined
      ? []
      : {
          name: slot.widget,
          default: undefined,
          sent: !slot.type.includes("UPLOAD"),
          control: SEED_NAMES.has(slot.widget),
          text: slot.type === "STRING" || slot.type === "COMBO",
        },
  );
}

function shows(input: InputSpec, sockets: ReadonlySet<string>): boolean {
  if (!input.widget) return false;
  const special = EDITOR_WIDGETS.has(input.type) || input.type.startsWith(DYNAMIC_CHOICE);
  return !special || Boolean(input.options.widgetType) || !sockets.has(input.name);
}

function plain(name: string, value: Json | undefined): Widget {
  return { name, default: value, sent: true, control: false, text: false };
}

/** Whether a type that is only known from its slots has as many values as it has widgets. */
function fits(widgets: readonly Widget[], list: readonly Json[]): boolean {
  const controls = list.filter((value) => typeof value === "string" && CONTROL_MODES.includes(value)).length;
  return widgets.length === list.length || widgets.length === list.length - controls;
}

/** Takes from the front of a list what belongs to these widgets; places missing at the end get their defaults. */
export function takeValues(
  widgets: readonly Widget[],
  list: readonly Json[],
): { named: Map<string, Json>; rest: readonly Json[] } {
  const { names, rest } = takePlaces(widgets, list);
  const named = new Map<string, Json>();
  for (const [place, name] of names.entries()) {
    const value = list[place];
    if (name !== null && !isEditorValue(name) && value !== undefined && value !== null) named.set(name, value);
  }
  for (const widget of widgets) {
    if (widget.sent && widget.default !== undefined && !named.has(widget.name)) named.set(widget.name, widget.default);
  }
  return { named, rest: list.slice(list.length - rest) };
}
