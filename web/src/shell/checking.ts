/** What is looked at while somebody edits: values that are not here, and which nodes the next run computes anew. */
import { ask } from "../client/http";
import { job } from "../client/queue";
import { exactText } from "../document/exact";
import type { NodeProblem } from "../canvas/runView";
import { ROOT, type GraphNode, type Json, type NodeId, type Specs, type Workflow } from "../document/types";
import type { Prompt } from "../document/prompt";
import { t } from "../i18n";
import { makesSomething, promptOf } from "./documents";
import { fuzzy } from "./ranking";
import { active, specs, type Tab } from "./workspace";

const CHECK_MS = 250;
/** Nodes of the editor alone, which no server has. */
export const EDITOR_ONLY: ReadonlySet<string> = new Set(["Note", "MarkdownNote", "Reroute", "PrimitiveNode"]);

/** The server is asked this long after the last change. */
const FORECAST_MS = 500;
/** Where an answer took longer, the guess from here has to do: whoever edits a huge graph is not slowed down by it. */
const SLOW_MS = 400;

/** Check a tab now and after each change. */
export function watch(tab: Tab): void {
  let planned: ReturnType<typeof setTimeout> | undefined;
  const forecast = forecaster(tab);
  const check = (): void => {
    planned = undefined;
    const known = specs.get();
    if (known === undefined) return;
    tab.run.check(problemsOf(tab.document.workflow, known));
    if (tab.run.hasRun) tab.run.mark(willRun(tab, known));
  };
  const plan = (): void => void (planned ??= setTimeout(check, CHECK_MS));
  tab.document.subscribe(plan);
  tab.document.subscribe(forecast);
  tab.run.summary.subscribe(plan);
  let phase = tab.run.summary.get().phase;
  tab.run.summary.subscribe(() => {
    const { phase: now, promptId } = tab.run.summary.get();
    const ended = now !== phase && now !== "queued" && now !== "running";
    phase = now;
    if (!ended) return;
    forecast();
    if (promptId !== undefined) job(promptId).then((told) => tab.run.costs(told.nodes ?? {}), () => undefined);
  });
  plan();
  forecast();
}

interface Forecast {
  readonly nodes: Readonly<Record<NodeId, { readonly state: "cached" | "runs" | "skipped" }>>;
  readonly counts: { readonly cached: number };
  readonly looked_in: readonly string[];
}

/** Asks the server which nodes the next run computes: it knows its caches, also those of before this visit. */
function forecaster(tab: Tab): () => void {
  let planned: ReturnType<typeof setTimeout> | undefined;
  let asked: AbortController | undefined;
  let slow = false;
  const question = async (): Promise<void> => {
    const known = specs.get();
    const { phase } = tab.run.summary.get();
    if (known === undefined || slow || active.get() !== tab || phase === "queued" || phase === "running") return;
    asked?.abort();
    const prompt = promptOf(tab.document.workflow, known);
    if (!makesSomething(prompt, known)) return;
    asked = new AbortController();
    const began = performance.now();
    const body = new Blob([exactText(tab.document.workflow, { prompt })], { type: "application/json" });
    const told = await ask<Forecast>("POST /forecast", { body: body as never, signal: asked.signal });
    slow = performance.now() - began > SLOW_MS;
    // A mark on every node would say nothing.
    if (told.looked_in.length === 0 || (told.counts.cached === 0 && !tab.run.hasRun)) return;
    tab.run.mark(new Set(Object.entries(told.nodes).flatMap(([id, node]) => (node.state === "runs" ? [id] : []))));
  };
  return () => {
    clearTimeout(planned);
    asked?.abort();
    // A graph in the middle of a change is refused; the run itself would name its problem.
    planned = setTimeout(() => void question().catch(() => undefined), FORECAST_MS);
  };
}

function willRun(tab: Tab, known: Specs): ReadonlySet<NodeId> {
  try {
    const signatures = signaturesOf(promptOf(tab.document.workflow, known));
    return new Set([...signatures].filter(([, signature]) => !tab.run.done.has(signature)).map(([id]) => id));
  } catch {
    return new Set(); // a graph in the middle of a change, which the run itself would name the problem of
  }
}

/** A text for each node that is the same exactly when it and everything above it are. */
export function signaturesOf(prompt: Prompt): ReadonlyMap<NodeId, string> {
  const made = new Map<NodeId, string>();
  const visit = (id: NodeId): string => {
    const before = made.get(id);
    if (before !== undefined) return before;
    made.set(id, `loop ${id}`);
    const node = prompt[id];
    const inputs = Object.entries(node?.inputs ?? {}).map(([name, value]) => {
      if (Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && value[0] in prompt) {
        // A short text stands for all that is above, so that long chains do not make long ones.
        return [name, hash(visit(value[0])), value[1]];
      }
      return [name, value];
    });
    const signature = JSON.stringify([node?.class_type, inputs]);
    made.set(id, signature);
    return signature;
  };
  for (const id of Object.keys(prompt)) visit(id);
  return made;
}

function hash(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b);
  }
  return `${(a >>> 0).toString(36)}.${(b >>> 0).toString(36)}`;
}

/** Problems that can be seen without running, by node of the workflow itself. */
export function problemsOf(workflow: Workflow, known: Specs): ReadonlyMap<NodeId, readonly NodeProblem[]> {
  const found = new Map<NodeId, readonly NodeProblem[]>();
  for (const node of workflow.graphs.get(ROOT)?.nodes.values() ?? []) {
    if (node.mode !== "always" || EDITOR_ONLY.has(node.type) || workflow.graphs.has(node.type)) continue;
    const problems = problemsOfNode(node, known);
    if (problems.length > 0) found.set(node.id, problems);
  }
  return found;
}

function problemsOfNode(node: GraphNode, known: Specs): readonly NodeProblem[] {
  const spec = known.get(node.type);
  if (spec === undefined) return [{ message: t("problem.type", "{type} is not installed here", { type: node.type }) }];
  return spec.inputs.flatMap((input): NodeProblem[] => {
    const value = node.values[input.name];
    if (!input.choices || typeof value !== "string" || value === "" || input.choices.includes(value)) return [];
    if (input.options.image_upload === true) return []; // names of uploads may have come since
    const closest = closestTo(value, input.choices);
    const message = t("problem.choice", "{value} is not here", { value });
    return [{ message, input: input.name, ...(closest === undefined ? {} : { fix: t("problem.use", "Use {name}", { name: String(closest) }) }) }];
  });
}

/** The choice that is most like a name; undefined when there are none. */
export function closestTo(value: string, choices: readonly Json[]): Json | undefined {
  const plain = value.replace(/^.*[\\/]/, "").replace(/\.[^.]+$/, "");
  const scored = choices.map((choice) => ({ choice, score: Math.max(fuzzy(plain, String(choice)) ?? 0, shared(plain, String(choice))) }));
  return scored.sort((a, b) => b.score - a.score)[0]?.choice;
}

/** How many letters two names begin with in common. */
function shared(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at]?.toLowerCase() === other[at]?.toLowerCase()) at += 1;
  return at;
}

/** Put the closest choice in place of a value that is not here. */
export function fixChoice(tab: Tab, id: NodeId, input: string): void {
  const { graph } = tab.place.get();
  const node = tab.document.node(graph, id);
  const spec = node && specs.get()?.get(node.type)?.inputs.find((one) => one.name === input);
  const closest = spec?.choices && closestTo(String(node?.values[input] ?? ""), spec.choices);
  if (closest === undefined) return;
  tab.document.apply({ do: "setValue", graph, id, input, value: closest }, t("step.fix", "Use {name}", { name: String(closest) }));
}
