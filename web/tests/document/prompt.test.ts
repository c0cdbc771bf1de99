import { describe, expect, it } from "vitest";
import { toPrompt, type PromptNode } from "../../src/document/prompt";
import { readEditor } from "../../src/document/read/editor";
import { saveText } from "../../src/document/open";
import { drawings, examplePrompts, examples, exampleSpecs, pairs, specs } from "./corpus";
import { large } from "./samples";
import { fastest, growth, LINEAR } from "./timing";

function plainPrompt(prompt: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(prompt).map(([id, { _meta, ...rest }]: [string, { _meta?: unknown }]) => [id, rest]),
  );
}

describe.skipIf(pairs.length === 0)("workflows whose prompt is known", () => {
  it.each(pairs)("$name becomes what a browser makes of it", ({ workflow, api }) => {
    const made = plainPrompt(toPrompt(readEditor(workflow, specs), specs));
    expect(made).toEqual(plainPrompt(api!));
    const order = (prompt: object) =>
      Object.entries(prompt).map(([id, node]) => [id, Object.keys((node as PromptNode).inputs)]);
    expect(order(made)).toEqual(order(api!));
  });
});

describe.each(examples)("the example $name", ({ name, workflow }) => {
  it("becomes the prompt that the engine makes of it", () => {
    expect(toPrompt(readEditor(workflow, exampleSpecs), exampleSpecs)).toEqual(
      examplePrompts[name.replace(".json", "")],
    );
  });

  it("is saved in the native form as the engine reads it", async () => {
    await expect(saveText(readEditor(workflow, exampleSpecs), exampleSpecs, "native")).toMatchFileSnapshot(
      `fixtures/native/${name}`,
    );
  });
});

it.each(drawings)("choices in texts are drawn as the engine draws them (%#)", ({ workflow, prompt }) => {
  expect(toPrompt(readEditor(workflow, exampleSpecs), exampleSpecs)).toEqual(prompt);
});

it("takes little time for 4,000 nodes", () => {
  const written = (count: number) => {
    const workflow = large(count);
    return () => toPrompt(workflow, new Map());
  };
  expect(fastest(30, written(4000))).toBeLessThan(30);
  expect(growth(1000, written)).toBeLessThan(LINEAR);
});
