/**
 * What `extra` holds of things that came from an ecosystem file.
 *
 * `file` is the entry as it stood there. The writer starts from it and replaces only what no longer reads as the record
 * says, so that spelling, unknown keys and oddities of a file survive. Where an entry did not agree with the rest of
 * its file (a list of links that names others), `was` is what we read instead: unchanged means write it as it came.
 */
import { isObject, listOf, member, objectOf } from "./json";
import type { Json, JsonObject, Mode } from "./types";

/** The ecosystem's editor puts the title above a node's position; here it is part of the node. */
export const TITLE_HEIGHT = 30;

/** An entry that could not be read, and its place in the file's list. */
export interface Left {
  readonly at: number;
  readonly entry: Json;
}

export function fileOf(thing: { readonly extra?: JsonObject } | undefined): JsonObject | undefined {
  const file = thing?.extra?.file;
  return isObject(file) ? file : undefined;
}

export function leftOf(
  thing: { readonly extra?: JsonObject },
  key: "leftNodes" | "leftLinks" | "leftGroups",
): readonly Left[] {
  return listOf(thing.extra?.[key]) as unknown as readonly Left[];
}

/** Puts entries that could not be read back to where they stood. */
export function withLeft(entries: Json[], left: readonly Left[]): Json[] {
  for (const { at, entry } of left) entries.splice(Math.min(at, entries.length), 0, entry);
  return entries;
}

export function pairOf(value: Json | undefined, first: string, second: string): readonly [number, number] | undefined {
  const one = Array.isArray(value) ? (value as readonly Json[])[0] : (member(value, "0") ?? member(value, first));
  const two = Array.isArray(value) ? (value as readonly Json[])[1] : (member(value, "1") ?? member(value, second));
  return typeof one === "number" && typeof two === "number" ? [one, two] : undefined;
}

/** Writes a pair as the file spells it: a list or an object of two. */
export function spelledPair(like: Json | undefined, one: number, two: number): Json {
  if (!isObject(like)) return [one, two];
  return Object.hasOwn(like, "0") ? { ...like, "0": one, "1": two } : { ...like, x: one, y: two };
}

export function modeOf(value: Json | undefined): Mode {
  if (value === 2) return "mute";
  return value === 4 ? "bypass" : "always";
}

export function fileMode(mode: Mode): number {
  return { always: 0, mute: 2, bypass: 4 }[mode];
}

export function flagOf(entry: JsonObject, flag: string): boolean {
  return objectOf(entry.flags)[flag] === true;
}

export function typeOf(kind: Json | undefined): string {
  if (typeof kind === "string") return kind;
  return Array.isArray(kind) ? "COMBO" : "*"; // old files spell a choice out as the list of its values
}

/** How far a node's top stands above its position in a file; reroutes have no title. */
export function titleAbove(type: string): number {
  return type === "Reroute" ? 0 : TITLE_HEIGHT;
}
