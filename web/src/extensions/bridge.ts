/**
 * What a page of an extension may ask of the editor, by `postMessage`. The page has an origin of its own and no network;
 * messages are all it has, and each is checked here. Version 1, described in docs/extensions.md.
 */
import { API_VERSION, isPlainValue, type Permission } from "./manifest";

/** The editor as the bridge sees it; nodes are those of the graph on screen. */
export interface Host {
  selection(): readonly string[];
  node(id: string): NodeView | undefined;
  nodes(): readonly NodeView[];
  setValue(id: string, input: string, value: string | number | boolean): void;
  addNode(type: string, values: Readonly<Record<string, string | number | boolean>>): string | undefined;
  say(text: string): void;
  theme(): Readonly<Record<string, string>>;
}
export interface NodeView {
  readonly id: string;
  readonly type: string;
  readonly title: string;
  /** What is set in the node; inputs that a link feeds are not among them. */
  readonly values: Readonly<Record<string, unknown>>;
}
export interface Answer {
  readonly safelight: number;
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

type Given = Readonly<Record<string, unknown>>;
const MOST_A_SECOND = 60;
const LONGEST_NOTE = 300;

class Refused extends Error {}

const text = (given: Given, name: string): string => {
  const value = given[name];
  if (typeof value !== "string" || value.length > 200) throw new Refused(`${name} has to be a text`);
  return value;
};

const ASKS: Readonly<Record<string, { readonly needs?: Permission; answer(host: Host, given: Given): unknown }>> = {
  hello: { answer: (host) => ({ api: API_VERSION, theme: host.theme() }) },
  selection: { needs: "read", answer: (host) => host.selection() },
  node: { needs: "read", answer: (host, given) => host.node(text(given, "node")) ?? null },
  nodes: { needs: "read", answer: (host) => host.nodes() },
  setValue: {
    needs: "edit",
    answer(host, given) {
      const { value } = given;
      if (!isPlainValue(value)) throw new Refused("value has to be a text, a number, or yes or no");
      host.setValue(text(given, "node"), text(given, "input"), value);
      return true;
    },
  },
  addNode: {
    needs: "edit",
    answer(host, given) {
      const values = given.values ?? {};
      if (typeof values !== "object" || values === null || Array.isArray(values) || !Object.values(values).every(isPlainValue)) throw new Refused("values has to be an object of plain values");
      return host.addNode(text(given, "type"), values as Record<string, string | number | boolean>) ?? null;
    },
  },
  say: {
    answer(host, given) {
      host.say(text(given, "text").slice(0, LONGEST_NOTE));
      return true;
    },
  },
};

/** Answers the messages of one frame; undefined for what is no question, or too much of it. */
export function bridge(host: Host, may: ReadonlySet<Permission>, now: () => number = Date.now): (data: unknown) => Answer | undefined {
  let second = 0;
  let count = 0;
  return (data) => {
    if (typeof data !== "object" || data === null) return undefined;
    const given = data as Given;
    if (given.safelight !== API_VERSION || typeof given.id !== "number" || typeof given.ask !== "string") return undefined;
    const at = Math.floor(now() / 1000);
    count = at === second ? count + 1 : 1;
    second = at;
    const answer = (more: Partial<Answer>): Answer => ({ safelight: API_VERSION, id: given.id as number, ...more });
    if (count > MOST_A_SECOND) return count === MOST_A_SECOND + 1 ? answer({ error: "too many questions in a second" }) : undefined;
    const asked = Object.hasOwn(ASKS, given.ask) ? ASKS[given.ask] : undefined;
    if (asked === undefined) return answer({ error: `there is no “${given.ask.slice(0, 40)}” in version ${API_VERSION}` });
    if (asked.needs !== undefined && !may.has(asked.needs)) return answer({ error: `the manifest does not ask for “${asked.needs}”` });
    try {
      return answer({ value: asked.answer(host, given) });
    } catch (error) {
      return answer({ error: error instanceof Error ? error.message : "it failed" });
    }
  };
}
