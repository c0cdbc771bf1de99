/**
 * Choices and comments in texts: `a {red|{dark|light} blue} cat // or dog`, resolved as the engine does it.
 *
 * The draw is made from the text, the node and every seed of the workflow, so that the same workflow gives the same
 * picture, here and without an editor, and another seed another choice.
 */
import type { Json } from "../types";
import { chooser } from "./draw";

const ESCAPABLE = "{}|";
const SEEDS = ["seed", "noise_seed"];

/** What the draws of a prompt depend on, as the engine writes it. */
export function seedsOf(nodes: Iterable<{ readonly inputs: { readonly [name: string]: Json } }>): string {
  const found: string[] = [];
  for (const { inputs } of nodes) {
    for (const name of SEEDS) if (Object.hasOwn(inputs, name)) found.push(quoted(asText(inputs[name]!)));
  }
  return `[${found.join(", ")}]`;
}

export function resolved(id: string, name: string, text: string, seeds: string): string {
  if (!/[{/\\]/.test(text)) return text;
  let choose: ((options: readonly string[]) => string) | undefined;
  return resolveText(text, (options) =>
    (choose ??= chooser(`(${quoted(id)}, ${quoted(name)}, ${quoted(text)}, ${seeds})`))(options),
  );
}

/**
 * The text without its comments, with `choose` made for every `{a|b}`, the innermost first. A backslash before `{`, `}`
 * or `|` takes their meaning away; braces that do not pair stay.
 */
export function resolveText(text: string, choose: (options: readonly string[]) => string): string {
  const closed: string[][] = [[""]];
  const characters = [...withoutComments(text)];
  const write = (more: string) => {
    const options = closed.at(-1)!;
    options[options.length - 1] += more;
  };
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === "\\") {
      const following = characters[++at] ?? "";
      write(following !== "" && ESCAPABLE.includes(following) ? following : character + following);
    } else if (character === "{") closed.push([""]);
    else if (character === "}" && closed.length > 1) write(choose(closed.pop()!));
    else if (character === "|" && closed.length > 1) closed.at(-1)!.push("");
    else write(character);
  }
  return closed.map((options) => options.join("|")).join("{");
}

function withoutComments(text: string): string {
  const pieces: string[] = [];
  let at = 0;
  let closingAhead = true;
  for (let start = opening(text, at); start >= 0; start = opening(text, at)) {
    pieces.push(text.slice(at, start));
    if (text.startsWith("//", start)) {
      const end = text.indexOf("\n", start);
      at = end < 0 ? text.length : end;
      continue;
    }
    const end: number = closingAhead ? text.indexOf("*/", start + 2) : -1;
    closingAhead = end >= 0;
    if (!closingAhead) pieces.push("/"); // it opens nothing, and no later one does
    at = closingAhead ? end + 2 : start + 1;
  }
  pieces.push(text.slice(at));
  return pieces.join("");
}

function opening(text: string, from: number): number {
  const found = text.slice(from).search(/\/[*/]/);
  return found < 0 ? -1 : from + found;
}

function asText(value: Json): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `Link(node=${quoted(String(value[0]))}, slot=${String(value[1])})`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A text between quotation marks, as Python writes it. */
function quoted(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = [...text].map((character) => {
    if (character === "\\" || character === mark) return `\\${character}`;
    const named = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
    if (named !== undefined) return named;
    if (character === " " || !/[\p{C}\p{Z}]/u.test(character)) return character;
    const code = character.codePointAt(0)!;
    const digits = code.toString(16);
    if (code < 0x100) return `\\x${digits.padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
  });
  return `${mark}${inner.join("")}${mark}`;
}
