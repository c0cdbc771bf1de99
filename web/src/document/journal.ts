/**
 * The crash journal: commands as lines of JSON, so that work since the last save can be done again.
 *
 * JSON has no `undefined`, which in a patch means "take this field away"; it is written as a mark of its own. Maps of
 * definitions are written as lists.
 */
import { graphOf, plainGraph, type PlainGraph } from "./operations/clipboard";
import type { Command, Graph, HistoryStep } from "./types";

const AWAY = "\u0000away";

export function commandToText(command: Command): string {
  return JSON.stringify(command, (_key, value: unknown) => {
    if (value === undefined) return AWAY;
    return isGraph(value) ? plainGraph(value) : value;
  });
}

export function commandFromText(text: string): Command {
  return revived(JSON.parse(text)) as Command;
}

/** What is kept of a history step between sessions: enough to do it again and to name it. */
export function stepToText(step: HistoryStep): string {
  return JSON.stringify({ label: step.label, at: step.at, forward: commandToText(step.forward) });
}

export function stepFromText(text: string): Pick<HistoryStep, "label" | "at" | "forward"> {
  const { label, at, forward } = JSON.parse(text) as { label: string; at: number; forward: string };
  return { label, at, forward: commandFromText(forward) };
}

function isGraph(value: unknown): value is Graph {
  return typeof value === "object" && value !== null && "nodes" in value && value.nodes instanceof Map;
}

// JSON.parse's own reviver would drop the very keys that stand for "take away".
function revived(value: unknown): unknown {
  if (value === AWAY) return undefined;
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== "object" || value === null) return value;
  const made = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, revived(one)]));
  return made.do === "putGraph" ? { ...made, definition: graphOf(made.definition as PlainGraph) } : made;
}
