import { describe, expect, it } from "vitest";
import { toPrompt } from "../../src/document/prompt";
import { readEditor } from "../../src/document/read/editor";
import { saveText } from "../../src/document/open";
import { examplePrompts, examples, exampleSpecs, pairs, specs } from "./corpus";
import { large } from "./samples";

function plainPrompt(prompt: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(prompt).map(([id, { _meta, ...rest }]: [string, { _meta?: unknown }]) => [id, rest]));
}

describe.skipIf(pairs.length === 0)("workflows whose prompt is known", () => {
  it.each(pairs)("$name becomes what a browser makes of it", ({ workflow, api }) => {
    expect(plainPrompt(toPrompt(readEditor(workflow, specs), specs))).toEqual(plainPrompt(api!));
  });
});

describe.each(examples)("the example $name", ({ name, workflow }) => {
  it("becomes the prompt that the engine makes of it", () => {
    expect(toPrompt(readEditor(workflow, exampleSpecs), exampleSpecs)).toEqual(examplePrompts[name.replace(".json", "")]);
  });

  it("is saved in the native form as the engine reads it", async () => {
    await expect(saveText(readEditor(workflow, exampleSpecs), exampleSpecs, "native")).toMatchFileSnapshot(`fixtures/native/${name}`);
  });
});

it("takes little time for 4,000 nodes", () => {
  const workflow = large(4000);
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now();
    toPrompt(workflow, new Map());
    return performance.now() - start;
  });
  expect(Math.min(...times)).toBeLessThan(30);
});
