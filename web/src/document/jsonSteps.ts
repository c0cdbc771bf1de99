/** Parsing large JSON in pieces: entries of the outermost lists and objects, one after the other. */
import { afterString } from "./jsonText";
import { withEntry } from "./json";
import type { Steps } from "./slices";
import type { Json } from "./types";

/** Text up to this long is parsed at once, which takes a few milliseconds. */
const AT_ONCE = 1 << 18;
const LONGEST_ESCAPE = 6;
const SPACE = /[ \t\n\r]*/y;
const SCALAR = /[^\s,\]}]*/y;
/** The scanner looks at the clock's yield this often. */
const STRETCH = 1 << 17;

/** What the scanner meets that it has no rule for: the parser says it better. */
class Irregular extends Error {}

/** The value that a text stands for. Raises `SyntaxError`, as `JSON.parse` does, for text that is no JSON. */
export function* parseSteps(text: string): Steps<Json> {
  try {
    const { value, end } = yield* valueAt(text, skip(text, 0));
    if (skip(text, end) !== text.length) throw new Irregular();
    return value;
  } catch (error) {
    if (error instanceof Irregular) return JSON.parse(text) as Json;
    throw error;
  }
}

function skip(text: string, at: number): number {
  SPACE.lastIndex = at;
  SPACE.test(text);
  return SPACE.lastIndex;
}

function* valueAt(text: string, at: number): Steps<{ value: Json; end: number }> {
  const end = yield* valueEnd(text, at);
  if (end - at > AT_ONCE && text[at] === '"') return { value: yield* longString(text, at, end), end };
  if (end - at <= AT_ONCE || (text[at] !== "{" && text[at] !== "[")) {
    return { value: JSON.parse(text.slice(at, end)) as Json, end };
  }
  return { value: text[at] === "[" ? yield* listAt(text, at) : yield* objectAt(text, at), end };
}

/** A text that is a megabyte or a hundred, in pieces that end in no escape. */
function* longString(text: string, start: number, end: number): Steps<string> {
  if (text[end - 1] !== '"') throw new Irregular();
  const pieces: string[] = [];
  for (let at = start + 1; at < end - 1; ) {
    const stop = Math.min(afterEscape(text, at, at + AT_ONCE), end - 1);
    pieces.push(JSON.parse(`"${text.slice(at, stop)}"`) as string);
    at = stop;
    yield at / text.length;
  }
  return pieces.join("");
}

/** The first place from `wanted` on that lies in no escape; the string goes from `start`, where none is open. */
function afterEscape(text: string, start: number, wanted: number): number {
  const back = text.slice(wanted - LONGEST_ESCAPE, wanted).lastIndexOf("\\");
  if (back < 0) return wanted;
  const slash = wanted - LONGEST_ESCAPE + back;
  let first = slash;
  while (first > start && text[first - 1] === "\\") first -= 1;
  // An even number of them are escapes of each other.
  if ((slash - first) % 2 === 1) return wanted;
  return Math.max(wanted, slash + (text[slash + 1] === "u" ? LONGEST_ESCAPE : 2));
}

function* listAt(text: string, open: number): Steps<Json> {
  const list: Json[] = [];
  let at = skip(text, open + 1);
  if (text[at] === "]") return list;
  for (;;) {
    const { value, end } = yield* valueAt(text, at);
    list.push(value);
    at = skip(text, end);
    yield at / text.length;
    if (text[at] === "]") return list;
    if (text[at] !== ",") throw new Irregular();
    at = skip(text, at + 1);
  }
}

function* objectAt(text: string, open: number): Steps<Json> {
  const object: Record<string, Json> = {};
  let at = skip(text, open + 1);
  if (text[at] === "}") return object;
  for (;;) {
    if (text[at] !== '"') throw new Irregular();
    const keyEnd = afterString(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    at = skip(text, keyEnd);
    if (text[at] !== ":") throw new Irregular();
    const { value, end } = yield* valueAt(text, skip(text, at + 1));
    withEntry(object, key, value);
    at = skip(text, end);
    yield at / text.length;
    if (text[at] === "}") return object;
    if (text[at] !== ",") throw new Irregular();
    at = skip(text, at + 1);
  }
}

/** The place after the value that begins at `at`, by its brackets alone. */
function* valueEnd(text: string, start: number): Steps<number> {
  const first = text.charCodeAt(start);
  if (first === 34) return afterString(text, start);
  if (first !== 123 && first !== 91) {
    SCALAR.lastIndex = start;
    SCALAR.test(text);
    return SCALAR.lastIndex;
  }
  let depth = 0;
  let pause = start + STRETCH;
  for (let at = start; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === 34) at = afterString(text, at);
    else {
      at += 1;
      if (code === 123 || code === 91) depth += 1;
      else if ((code === 125 || code === 93) && --depth === 0) return at;
    }
    if (at > pause) {
      yield undefined;
      pause = at + STRETCH;
    }
  }
  throw new Irregular();
}
