/** What tests of operations have in common. */
import { expect } from "vitest";
import { applyCommand } from "../../src/document/commands";
import { toPrompt } from "../../src/document/prompt";
import { ROOT, type Command, type Graph, type Workflow } from "../../src/document/types";
import { graph, link, node, plain, workflow } from "./samples";

export const root = (value: Workflow): Graph => value.graphs.get(ROOT)!;
/** The inputs of the prompt, by node. */
export const inputs = (value: Workflow) =>
  Object.fromEntries(Object.entries(toPrompt(value, new Map())).map(([id, one]) => [id, one.inputs]));

/** Applies, and checks on the way that the inverse brings everything back. */
export function after(value: Workflow, command: Command): Workflow {
  const { workflow: next, inverse } = applyCommand(value, command);
  expect(plain(applyCommand(next, inverse).workflow)).toBe(plain(value));
  return next;
}

export const chain = () =>
  workflow(
    graph([node("1"), node("2"), node("3")], [link("x", "1", "2"), link("y", "2", "3"), link("z", "1", "3", 1)]),
  );
