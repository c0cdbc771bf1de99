/**
 * Whole numbers that JavaScript cannot hold: seeds go up to 2^64, its numbers are exact up to 2^53.
 *
 * Inside the editor such a number is the nearest one that there is. The document remembers how it was written, and
 * writes it so again wherever that nearest number stands.
 */
import { isObject } from "./json";
import { afterString, changedOutside } from "./jsonText";
import { atOnce, type Steps } from "./slices";
import type { Json, JsonObject, Workflow } from "./types";

/** So much text is looked at between two pauses. */
const STRETCH = 1 << 17;
const WINDOW = 1 << 20;

const LONG = /-?\b\d{16,}(?![\d.eE])/g;

/** The exact spelling of numbers by their nearest one, or nothing when a text has none. */
export function exactNumbers(text: string): JsonObject | undefined {
  return atOnce(exactSteps(text));
}

/** As `exactNumbers`, in pieces. */
export function* exactSteps(text: string): Steps<JsonObject | undefined> {
  if (!(yield* hasLong(text))) return undefined;
  const found: Record<string, string> = {};
  const unclear = new Set<string>();
  let pause = STRETCH;
  for (let at = 0; at < text.length; ) {
    const quote = text.indexOf('"', at);
    const open = quote < 0 ? text.length : quote;
    for (const [token] of text.slice(at, open).matchAll(LONG)) {
      if (Number.isSafeInteger(Number(token))) continue;
      const nearest = JSON.stringify(Number(token));
      // Two numbers with the same nearest one: neither can be told from the other.
      if (Object.hasOwn(found, nearest) && found[nearest] !== token) unclear.add(nearest);
      found[nearest] = token;
    }
    at = quote < 0 ? text.length : afterString(text, open);
    if (at > pause) {
      yield undefined;
      pause = at + STRETCH;
    }
  }
  const clear = Object.entries(found).filter(([nearest, token]) => nearest !== token && !unclear.has(nearest));
  return clear.length > 0 ? Object.fromEntries(clear) : undefined;
}

function* hasLong(text: string): Steps<boolean> {
  for (let at = 0; at < text.length; at += WINDOW) {
    if (/\d{16}/.test(text.slice(at, at + WINDOW + 15))) return true;
    yield undefined;
  }
  return false;
}

export function withExact(workflow: Workflow, exact: JsonObject | undefined): Workflow {
  return exact === undefined ? workflow : { ...workflow, extra: { ...workflow.extra, exact } };
}

/** JSON text of anything that belongs to the workflow, its prompt too, with numbers as exact as they came. */
export function exactText(workflow: Workflow, value: Json | object, indent?: number): string {
  return restored(workflow, JSON.stringify(value, null, indent));
}

export function restored(workflow: Workflow, text: string): string {
  const exact = workflow.extra?.exact;
  if (!isObject(exact)) return text;
  return changedOutside(text, (part) =>
    part.replace(LONG, (token) => {
      const source = exact[token];
      return typeof source === "string" ? source : token;
    }),
  );
}
