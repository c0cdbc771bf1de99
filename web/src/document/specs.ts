/** Node types as `/object_info` describes them, in whichever spelling. */
import { isObject, listOf, member, objectOf } from "./json";
import type { InputSpec, Json, JsonObject, NodeSpec, Specs } from "./types";

export const DYNAMIC_CHOICE = "COMFY_DYNAMICCOMBO";
export const AUTOGROW = "COMFY_AUTOGROW";

const WIDGET_TYPES: ReadonlySet<string> = new Set(["INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"]);

/** Input types that are no socket types: the editor shows a widget of its own for them. */
export const EDITOR_WIDGETS: ReadonlySet<string> = new Set([
  "LOAD_3D",
  "LOAD_3D_ANIMATION",
  "PREVIEW_3D",
  "WEBCAM",
  "AUDIO_UI",
  "AUDIO_RECORD",
  "IMAGEUPLOAD",
  "AUDIOUPLOAD",
  "VIDEOUPLOAD",
  "FILEUPLOAD",
  "COLOR",
  "MARKDOWN",
  "IMAGECOMPARE",
  "BOUNDING_BOX",
  "CURVE",
]);

/** Reads the answer of `/object_info`, or of `/object_info/{type}`. Entries that are no node types are left out. */
export function readSpecs(data: Json): Specs {
  const specs = new Map<string, NodeSpec>();
  for (const [type, entry] of Object.entries(objectOf(data))) {
    if (isObject(entry)) specs.set(type, readSpec(type, entry));
  }
  return specs;
}

export function readSpec(type: string, entry: JsonObject): NodeSpec {
  const sections = objectOf(entry.input);
  const inputs: InputSpec[] = [];
  for (const group of ["required", "optional", "hidden"] as const) {
    const declared = objectOf(member(sections, group));
    const ordered = listOf(member(entry.input_order, group)).filter(
      (name): name is string => typeof name === "string" && Object.hasOwn(declared, name),
    );
    for (const name of new Set([...ordered, ...Object.keys(declared)]))
      inputs.push(readInput(name, declared[name]!, group));
  }
  const names = listOf(entry.output_name);
  const lists = listOf(entry.output_is_list);
  const tips = listOf(entry.output_tooltips);
  return {
    type,
    title: text(entry.display_name) || text(entry.name) || type,
    category: text(entry.category),
    description: text(entry.description),
    inputs,
    outputs: listOf(entry.output).map((kind, slot) => ({
      name: text(names[slot]) || socketType(kind),
      type: socketType(kind),
      list: lists[slot] === true,
      ...(text(tips[slot]) && { tooltip: text(tips[slot]) }),
    })),
    isOutput: entry.output_node === true,
    deprecated: entry.deprecated === true,
    experimental: entry.experimental === true,
  };
}

/** Reads `[type, options]`, `[[choices], options]`, `["COMBO", {options: [...]}]` or a bare type. */
export function readInput(name: string, entry: Json, group: InputSpec["group"]): InputSpec {
  const parts: readonly Json[] = Array.isArray(entry) && entry.length > 0 ? (entry as readonly Json[]) : [entry];
  const options = objectOf(parts[1]);
  const spelled = parts[0] as Json;
  let type = socketType(spelled);
  let choices: readonly Json[] | undefined;
  if (Array.isArray(spelled)) choices = spelled as readonly Json[];
  else if (type.startsWith("COMBO")) {
    type = "COMBO";
    const listed = listOf(options.options);
    if (listed.length > 0) choices = listed;
  } else if (type.startsWith(DYNAMIC_CHOICE)) {
    choices = listOf(options.options).flatMap((option) => member(option, "key") ?? []);
  }
  const shown =
    options.forceInput !== true &&
    (WIDGET_TYPES.has(type) ||
      EDITOR_WIDGETS.has(type) ||
      type.startsWith(DYNAMIC_CHOICE) ||
      Boolean(options.widgetType));
  return {
    name,
    type,
    group,
    widget: group !== "hidden" && shown,
    options,
    ...(choices && { choices }),
    ...(options.default !== undefined && { default: options.default }),
    ...(typeof options.min === "number" && { min: options.min }),
    ...(typeof options.max === "number" && { max: options.max }),
    ...(typeof options.step === "number" && { step: options.step }),
    ...(options.multiline === true && { multiline: true }),
    ...(text(options.tooltip) && { tooltip: text(options.tooltip) }),
  };
}

/** What a widget holds when nobody has set it, or nothing when there is no telling. */
export function defaultOf(input: InputSpec): Json | undefined {
  if (input.default !== undefined) return input.default;
  switch (input.type) {
    case "INT":
    case "FLOAT":
      return 0;
    case "STRING":
      return "";
    case "BOOLEAN":
      return false;
    default:
      return input.choices?.[0];
  }
}

/** The inputs that the chosen option of a dynamic choice brings with it, named `choice.input`. */
export function nestedInputs(input: InputSpec, value: Json | undefined): readonly InputSpec[] {
  if (!input.type.startsWith(DYNAMIC_CHOICE)) return [];
  const option = listOf(input.options.options).find((one) => isObject(one) && one.key === value);
  const sections = objectOf(member(option, "inputs"));
  return (["required", "optional"] as const).flatMap((group) =>
    Object.entries(objectOf(member(sections, group))).map(([name, entry]) =>
      readInput(`${input.name}.${name}`, entry, group),
    ),
  );
}

/**
 * The inputs that a node has now: options chosen bring theirs, and a growing input has one free socket after the
 * last that is linked.
 */
export function effectiveInputs(
  inputs: readonly InputSpec[],
  values: Readonly<Record<string, Json>>,
  linked: (name: string) => boolean,
): readonly InputSpec[] {
  const found: InputSpec[] = [];
  for (const input of inputs) {
    if (input.type.startsWith(AUTOGROW)) {
      found.push(...grown(input, linked));
      continue;
    }
    found.push(input);
    const nested = nestedInputs(input, values[input.name] ?? defaultOf(input));
    if (nested.length > 0) found.push(...effectiveInputs(nested, values, linked));
  }
  return found;
}

function grown(input: InputSpec, linked: (name: string) => boolean): readonly InputSpec[] {
  const template = objectOf(input.options.template);
  const sections = objectOf(template.input);
  const entry = Object.values({ ...objectOf(sections.required), ...objectOf(sections.optional) })[0] ?? "*";
  const least = typeof template.min === "number" ? template.min : 1;
  const most = Math.min(typeof template.max === "number" ? template.max : 10, 100);
  const names = Array.isArray(template.names)
    ? listOf(template.names).map(String)
    : Array.from({ length: most }, (_, place) => `${text(template.prefix)}${place}`);
  const paths = names.map((name) => `${input.name}.${name}`);
  const last = paths.findLastIndex((path) => linked(path));
  return paths
    .slice(0, Math.max(least, last + 2))
    .map((path, place) => readInput(path, entry, place < least ? input.group : "optional"));
}

function socketType(kind: Json | undefined): string {
  if (typeof kind === "string") return kind;
  return Array.isArray(kind) ? "COMBO" : "*";
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
