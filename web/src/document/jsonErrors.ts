/** Where a text stops being JSON: browsers say it in different words, or not at all. */

const TOKEN =
  /[ \t\n\r]*(?:([{}[\],:])|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;

type Wanted = "value" | "value or ]" | "key" | "key or }" | ":" | ", or close" | "end";

/** The offset of the first thing that may not stand where it does. */
export function jsonErrorAt(text: string): number {
  const open: string[] = [];
  let wanted: Wanted = "value";
  for (let at = 0; ;) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    const start = at + /^[ \t\n\r]*/.exec(text.slice(at, at + 10_000))![0].length;
    if (found === null) return Math.min(start, text.length);
    const next = follow(wanted, found[1] ?? (found[0].trimStart().startsWith('"') ? "string" : "scalar"), open);
    if (next === undefined) return start;
    wanted = next;
    at = TOKEN.lastIndex;
  }
}

function follow(wanted: Wanted, token: string, open: string[]): Wanted | undefined {
  const after = (): Wanted => (open.length === 0 ? "end" : ", or close");
  const close = (): Wanted => {
    open.pop();
    return after();
  };
  switch (wanted) {
    case "value":
    case "value or ]":
      if (token === "string" || token === "scalar") return after();
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
