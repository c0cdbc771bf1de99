/** The one place where the shell meets the document's readers and writers. */
import { ask } from "../client/http";
import { openFile } from "../document/files";
import { saveText, workflowJson } from "../document/open";
import { toPrompt, type Prompt } from "../document/prompt";
import { readSpecs } from "../document/specs";
import type { Command, Json, JsonObject, Specs, Workflow } from "../document/types";
import { controlName } from "../document/widgets";
import { specs } from "./workspace";

export { emptyWorkflow } from "../document/open";

export async function loadSpecs(): Promise<void> {
  specs.set(readSpecs(await ask<Json>("GET /object_info")));
}

/** Read a workflow from any file that holds one. Raises an error that says what is wrong with it. */
export async function openBlob(blob: Blob): Promise<Workflow> {
  return openFile(await blob.arrayBuffer(), specs.get() ?? new Map());
}

/** The workflow as a file's content. */
export const textOf = (workflow: Workflow, known: Specs): string => saveText(workflow, known);
/** The workflow as it goes into pictures. */
export const fileOf = (workflow: Workflow, known: Specs): JsonObject => workflowJson(workflow, known);
/** The API prompt, without nodes of unknown types that nothing needs: those would keep all others from running. */
export function promptOf(workflow: Workflow, known: Specs): Prompt {
  const prompt = toPrompt(workflow, known);
  if (Object.values(prompt).every((node) => known.has(node.class_type))) return prompt;
  const pending = Object.keys(prompt).filter((id) => known.get(prompt[id]!.class_type)?.isOutput);
  const needed = new Set(pending);
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    for (const value of Object.values(prompt[id]!.inputs)) {
      const from = Array.isArray(value) && value.length === 2 ? String(value[0]) : undefined;
      if (from === undefined || needed.has(from) || !(from in prompt)) continue;
      needed.add(from);
      pending.push(from);
    }
  }
  return Object.fromEntries(Object.entries(prompt).filter(([id, node]) => needed.has(id) || known.has(node.class_type)));
}

/** Whether a run makes anything: a prompt without an output is refused, so nothing is asked of one. */
export const makesSomething = (prompt: Prompt, known: Specs): boolean => Object.values(prompt).some((node) => known.get(node.class_type)?.isOutput);

/** What becomes of seeds and the like after a run, as their controls say. */
export function afterRun(workflow: Workflow, known: Specs): readonly Command[] {
  const commands: Command[] = [];
  for (const graph of workflow.graphs.values()) {
    for (const node of graph.nodes.values()) {
      for (const input of known.get(node.type)?.inputs ?? []) {
        const how = node.values[controlName(input.name)];
        if (typeof how !== "string" || how === "fixed") continue;
        const value = nextValue(how, node.values[input.name], input.choices, input.min ?? 0, input.max ?? 2 ** 53 - 1);
        if (value !== undefined) commands.push({ do: "setValue", graph: graph.id, id: node.id, input: input.name, value });
      }
    }
  }
  return commands;
}

function nextValue(how: string, value: Json | undefined, choices: readonly Json[] | undefined, min: number, max: number): Json | undefined {
  if (choices !== undefined) {
    const at = choices.findIndex((one) => one === value);
    if (how === "randomize") return choices[Math.floor(Math.random() * choices.length)];
    const next = at + (how === "decrement" ? -1 : 1);
    return how === "increment-wrap" ? choices[next % choices.length] : choices[Math.max(0, Math.min(choices.length - 1, next))];
  }
  if (typeof value !== "number") return undefined;
  // Beyond 2^53 a number in this language is no longer exact; a seed stays where all programs agree on it.
  const most = Math.min(max, Number.MAX_SAFE_INTEGER);
  if (how === "randomize") return Math.floor(min + Math.random() * (most - min));
  return Math.max(min, Math.min(most, value + (how === "decrement" ? -1 : 1)));
}
