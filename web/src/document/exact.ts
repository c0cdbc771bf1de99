/**
 * Whole numbers that JavaScript cannot hold: seeds go up to 2^64, its numbers are exact up to 2^53.
 *
 * Inside the editor such a number is the nearest one that there is. The document remembers how it was written, and
 * writes it so again wherever that nearest number stands.
 */
import { isObject } from "./json";
import { changedOutside } from "./jsonText";
import type { Json, JsonObject, Workflow } from "./types";

const LONG = /-?\b\d{16,}(?![\d.eE])/g;

/** The exact spelling of numbers by their nearest one, or nothing when a text has none. */
export function exactNumbers(text: string): JsonObject | undefined {
  if (!/\d{16}/.test(text)) return undefined;
  const found: Record<string, string> = {};
  const unclear = new Set<string>();
  changedOutside(text, (part) => {
    for (const [token] of part.matchAll(LONG)) {
      if (Number.isSafeInteger(Number(token))) continue;
      const nearest = JSON.stringify(Number(token));
      // Two numbers with the same nearest one: neither can be told from the other.
      if (Object.hasOwn(found, nearest) && found[nearest] !== token) unclear.add(nearest);
      found[nearest] = token;
    }
    return "";
  });
  const clear = Object.entries(found).filter(([nearest, token]) => nearest !== token && !unclear.has(nearest));
  return clear.length > 0 ? Object.fromEntries(clear) : undefined;
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
