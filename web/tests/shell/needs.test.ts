import { expect, test } from "vitest";
import type { NodeSpec, Workflow } from "../../src/document/types";
import { isReady, needsOf } from "../../src/shell/needs";

const workflow = (type: string, values: Record<string, string>): Workflow =>
  ({ graphs: new Map([["", { nodes: new Map([["1", { id: "1", type, values }]]) }]]), form: [] }) as unknown as Workflow;
const specs = new Map([["Loader", { inputs: [{ name: "ckpt_name", choices: ["here.safetensors"] }] } as unknown as NodeSpec]]);

test("a template says what it needs and whether that is here", () => {
  expect(isReady(needsOf(workflow("Loader", { ckpt_name: "here.safetensors" }), specs))).toBe(true);
  expect(needsOf(workflow("Loader", { ckpt_name: "gone.safetensors" }), specs).files).toEqual([{ name: "gone.safetensors", here: false }]);
  expect(needsOf(workflow("Stranger", {}), specs).missingTypes).toEqual(["Stranger"]);
  expect(isReady(needsOf(workflow("Note", {}), specs))).toBe(true);
});
