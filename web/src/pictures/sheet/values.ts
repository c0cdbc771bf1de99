/** The values that an input is swept over, as people write them. */
import type { InputSpec, Json } from "../../document/types";

export const MOST_JOBS = 200;
const MOST_VALUES = 100;

/** How the values of an input are given: numbers and ranges, a line for each text, or some of its choices. */
export type Manner = "numbers" | "lines" | "choices" | "both";

export function mannerOf(input: InputSpec): Manner | undefined {
  if (!input.widget || input.group === "hidden") return undefined;
  if (input.choices !== undefined) return "choices";
  if (input.type === "INT" || input.type === "FLOAT") return "numbers";
  if (input.type === "STRING") return "lines";
  return input.type === "BOOLEAN" ? "both" : undefined;
}

export interface Parsed {
  readonly values: readonly Json[];
  /** The part that could not be read; undefined when all could. */
  readonly wrong?: string;
}

/** `1, 2, 5`, `1..10` and `4..8 by 0.5`; numbers outside of the input's limits are wrong. */
export function parseNumbers(text: string, input: InputSpec): Parsed {
  const values: number[] = [];
  for (const part of text.split(/[,;\n]/).map((one) => one.trim()).filter(Boolean)) {
    const range = /^(-?[\d.]+)\s*\.\.\s*(-?[\d.]+)(?:\s*(?:by|je|\/)\s*([\d.]+))?$/.exec(part);
    const numbers = range ? rangeOf(Number(range[1]), Number(range[2]), range[3] === undefined ? 1 : Number(range[3])) : [Number(part)];
    const good = numbers.length > 0 && numbers.every((one) => Number.isFinite(one) && one >= (input.min ?? -Infinity) && one <= (input.max ?? Infinity) && (input.type !== "INT" || Number.isInteger(one)));
    if (!good) return { values: [], wrong: part };
    for (const one of numbers) if (!values.includes(one) && values.length < MOST_VALUES) values.push(one);
  }
  return { values };
}

function rangeOf(from: number, to: number, by: number): readonly number[] {
  if (!(by > 0) || !Number.isFinite(from) || !Number.isFinite(to) || Math.abs(to - from) / by > MOST_VALUES) return [];
  const count = Math.floor(Math.abs(to - from) / by + 1e-9);
  const sign = to < from ? -1 : 1;
  // Decimals as they are written: 0.1 + 0.2 is 0.3.
  return Array.from({ length: count + 1 }, (_, at) => Number((from + sign * at * by).toFixed(9)));
}

export function parseLines(text: string): Parsed {
  return { values: [...new Set(text.split("\n").map((one) => one.trim()).filter(Boolean))].slice(0, MOST_VALUES) };
}

/** What to begin with: a few values around the one that is there. */
export function suggested(input: InputSpec, value: Json | undefined): string {
  if (typeof value !== "number") return typeof value === "string" ? value : "";
  if (/seed/.test(input.name)) return Array.from({ length: 4 }, (_, at) => value + at).filter((one) => one <= (input.max ?? Infinity)).join(", ");
  const whole = input.type === "INT";
  const step = whole ? Math.max(1, Math.round(value / 4)) : Math.max(input.step ?? 0.1, Number((value / 4).toFixed(2)));
  const near = [-1, 0, 1, 2].map((by) => Number((value + by * step).toFixed(4)));
  return near.filter((one) => one >= (input.min ?? -Infinity) && one <= (input.max ?? Infinity)).join(", ");
}

/** Every combination, the last list changing fastest. */
export function product(lists: readonly (readonly Json[])[]): readonly (readonly Json[])[] {
  return lists.reduce<readonly (readonly Json[])[]>((all, list) => all.flatMap((one) => list.map((value) => [...one, value])), [[]]);
}

export const labelOf = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));
