/**
 * Looking into JSON text without parsing it: what stands outside of strings, and where it stops being JSON.
 *
 * Strings are stepped over by hand: a pattern for them runs out of stack on a picture that is kept as text.
 */

/** The place after the string that opens at `at`; the end of the text when it is never closed. */
function afterString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return end + 1;
  }
  return text.length;
}

/** The text with `change` made to every part that is no string. */
export function changedOutside(text: string, change: (part: string) => string): string {
  const made: string[] = [];
  for (let at = 0; at < text.length;) {
    const quote = text.indexOf('"', at);
    const open = quote < 0 ? text.length : quote;
    made.push(change(text.slice(at, open)));
    at = quote < 0 ? text.length : afterString(text, open);
    made.push(text.slice(open, at));
  }
  return made.join("");
}

const SPACE = /[ \t\n\r]*/y;
const LETTERS = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

type Token = "string" | "scalar" | "{" | "}" | "[" | "]" | "," | ":";
type Wanted = "value" | "value or ]" | "key" | "key or }" | ":" | ", or close" | "end";

/** The offset of the first thing that may not stand where it does. */
export function jsonErrorAt(text: string): number {
  const open: string[] = [];
  let wanted: Wanted = "value";
  for (let at = 0; ;) {
    at = after(SPACE, text, at)!;
    const token = tokenAt(text, at);
    const next: Wanted | undefined = token && follow(wanted, token.kind, open);
    if (token === undefined || next === undefined) return at;
    wanted = next;
    at = token.end;
  }
}

function tokenAt(text: string, at: number): { kind: Token; end: number } | undefined {
  const first = text[at];
  if (first === undefined) return undefined;
  if ("{}[],:".includes(first)) return { kind: first as Token, end: at + 1 };
  if (first !== '"') {
    const end = after(SCALAR, text, at);
    return end === undefined ? undefined : { kind: "scalar", end };
  }
  let end = at + 1;
  for (;;) {
    end = after(LETTERS, text, end)!;
    if (text[end] === '"') return { kind: "string", end: end + 1 };
    const escaped = after(ESCAPE, text, end);
    if (escaped === undefined) return undefined;
    end = escaped;
  }
}

function after(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function follow(wanted: Wanted, token: Token, open: string[]): Wanted | undefined {
  const next = (): Wanted => (open.length === 0 ? "end" : ", or close");
  const close = (): Wanted => {
    open.pop();
    return next();
  };
  switch (wanted) {
    case "value":
    case "value or ]":
      if (token === "string" || token === "scalar") return next();
      if (token === "]" && wanted === "value or ]") return close();
      if (token !== "{" && token !== "[") return undefined;
      open.push(token);
      return token === "{" ? "key or }" : "value or ]";
    case "key":
    case "key or }":
      if (token === "string") return ":";
      return token === "}" && wanted === "key or }" ? close() : undefined;
    case ":":
      return token === ":" ? "value" : undefined;
    case ", or close": {
      const inObject = open.at(-1) === "{";
      if (token === ",") return inObject ? "key" : "value";
      return token === (inObject ? "}" : "]") ? close() : undefined;
    }
    case "end":
      return undefined;
  }
}
