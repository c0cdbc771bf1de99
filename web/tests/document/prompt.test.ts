import { describe, expect, it } from "vitest";
import { toPrompt } from "../../src/document/prompt";
import { readEditor } from "../../src/document/read/editor";
import { pairs, specs } from "./corpus";
import { large } from "./samples";

function plainPrompt(prompt: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(prompt).map(([id, { _meta, ...rest }]: [string, { _meta?: unknown }]) => [id, rest]));
}

describe.skipIf(pairs.length === 0)("workflows whose prompt is known", () => {
  it.each(pairs)("$name becomes what a browser makes of it", ({ workflow, api }) => {
    expect(plainPrompt(toPrompt(readEditor(workflow, specs), specs))).toEqual(plainPrompt(api!));
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
