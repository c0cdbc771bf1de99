/**
 * The native form: `{"safelight": 1, ...}`, the API prompt and a view of it.
 *
 *     nodes        by id: {type, inputs: {name: value or [node, output]}, mode?, kept?, slots}
 *     exits        of a definition: what feeds each of its outputs
 *     view         nodes by id: {x, y, w, h?, title?, color?, ...}; groups; links by "node input": {bends?, hidden?, portal?};
 *                  borders of a definition: {inputs?, outputs?}; bookmarks by digit
 *     definitions  subgraphs by id: the same, with name, inputs and outputs
 *     form, meta
 *
 * Values go by name, outputs by name where the name tells them apart, keys are sorted and each node has a line, so that
 * two versions of a workflow compare well. A list that is a value stands as {"__value__": [...]}.
 */
import { isObject } from "./json";
import type { Json, JsonObject } from "./types";

export const VERSION = 1;
export const VALUE_KEY = "__value__";

export function looksNative(data: Json): boolean {
  return isObject(data) && typeof data.safelight === "number" && isObject(data.nodes);
}

export function wrap(value: Json): Json {
  return Array.isArray(value) || (isObject(value) && Object.hasOwn(value, VALUE_KEY))
    ? { [VALUE_KEY]: value as Json }
    : value;
}

export function unwrap(value: Json): Json {
  return isObject(value) && Object.hasOwn(value, VALUE_KEY) && Object.keys(value).length === 1
    ? value[VALUE_KEY]!
    : value;
}

/** Whole numbers by size, then names by code point: the same order on every machine. */
export function byId(one: string, other: string): number {
  const [left, right] = [isNumber(one), isNumber(other)];
  if (left && right && Number(one) !== Number(other)) return Number(one) - Number(other);
  if (left !== right) return left ? -1 : 1;
  return one < other ? -1 : one > other ? 1 : 0;
}

function isNumber(id: string): boolean {
  // Most keys are names: a look at the first letter settles it for them.
  const first = id.charCodeAt(0);
  return first >= 48 && first <= 57 && /^\d{1,15}$/.test(id);
}

/** Members of these stand on lines of their own. */
const OPEN = new Set(["nodes", "view", "groups", "links", "definitions", "form"]);

/** The text of a native document. */
export function nativeText(data: JsonObject): string {
  return `${opened(data, 0, "")}\n`;
}

function opened(value: Json, depth: number, key: string): string {
  if (Array.isArray(value)) {
    const items = value as readonly Json[];
    return items.length === 0 ? "[]" : `[\n${items.map((item) => line(item)).join(",\n")}\n]`;
  }
  if (!isObject(value)) return JSON.stringify(value);
  // A definition is spelled out as the workflow is; what is inside a node is not.
  const entries = Object.keys(value).sort(depth === 0 || key === "definition" ? inReadingOrder : byId);
  if (entries.length === 0) return "{}";
  const lines = entries.map((name) => `${JSON.stringify(name)}: ${member(value[name]!, name, key, depth)}`);
  return `{\n${lines.join(",\n")}\n}`;
}

function member(value: Json, name: string, parent: string, depth: number): string {
  if (parent === "definitions") return opened(value, depth + 1, "definition");
  const open = (depth === 0 || parent === "definition" || parent === "view") && OPEN.has(name);
  return open ? opened(value, depth + 1, name) : line(value);
}

const READING_ORDER = [
  "safelight",
  "name",
  "inputs",
  "outputs",
  "nodes",
  "exits",
  "definitions",
  "form",
  "view",
  "meta",
];

function inReadingOrder(one: string, other: string): number {
  const [left, right] = [READING_ORDER.indexOf(one), READING_ORDER.indexOf(other)];
  if (left >= 0 && right >= 0) return left - right;
  return left >= 0 ? -1 : right >= 0 ? 1 : byId(one, other);
}

function line(value: Json): string {
  return JSON.stringify(sorted(value)).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => sorted(item));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort(byId)
      .map((key) => [key, sorted(value[key]!)]),
  );
}
