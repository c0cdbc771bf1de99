import fc from "fast-check";
import { expect, it } from "vitest";
import { openFile } from "../../src/document/files";
import { parseSteps } from "../../src/document/jsonSteps";
import { openText, saveText } from "../../src/document/open";
import { atOnce } from "../../src/document/slices";
import type { Json } from "../../src/document/types";

const NONE = new Map();
const parse = (text: string): Json => atOnce(parseSteps(text));

/** Long enough to be parsed in pieces. */
const padded = (value: Json): Json => ({ pad: ["\\\"]}".repeat(60_000), [], {}], value, list: [value, [value]], __proto: 1 });

it("JSON in pieces is the same JSON", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const text of [JSON.stringify(padded(value as Json)), JSON.stringify(padded(value as Json), null, 1)])
        expect(JSON.stringify(parse(text))).toBe(JSON.stringify(JSON.parse(text)));
    }),
    { numRuns: 25 },
  );
});

it("a long text in pieces is the same text, whatever is escaped in it", () => {
  for (const unit of ['"', "\\", "\u0001", "a\u0001", "ab\\", "\\\\\"", "\ud83d\ude00", "abcdefg\n"]) {
    const long = `${"x".repeat(unit.length)}${unit.repeat(700_000 / unit.length)}`;
    for (const text of [JSON.stringify([long]), JSON.stringify([long]).replace(/[^\u0000-\u007f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)])
      expect((parse(text) as string[])[0] === long).toBe(true);
  }
  expect(() => parse(`["${"x".repeat(700_000)}\u0001"]`)).toThrow(SyntaxError);
  expect(() => parse(`["${"x".repeat(700_000)}\\q"]`)).toThrow(SyntaxError);
  expect(() => parse(`["${"x".repeat(700_000)}`)).toThrow(SyntaxError);
});

it("JSON with an error in it is refused, wherever the error is", () => {
  const text = JSON.stringify(padded([1, { a: "b" }]));
  for (const bad of [`${text}x`, text.slice(0, -1), text.replace(',"list"', '"list"'), text.replace(',{"a"', ',}"a"'), `${text.slice(0, -1)},}`])
    expect(() => parse(bad)).toThrow(SyntaxError);
});

function large(count: number): string {
  const nodes = Array.from({ length: count }, (_, n) => ({
    id: n + 1, type: "Test", pos: [n, 0], size: [200, 100], mode: 0, inputs: [{ name: "a", type: "IMAGE", link: n || null }],
    outputs: [{ name: "o", type: "IMAGE", links: n + 1 < count ? [n + 1] : [] }], widgets_values: ["x".repeat(60), 18446744073709551000],
  }));
  const links = nodes.slice(1).map(({ id }) => [id - 1, id - 1, 0, id, 0, "IMAGE"]);
  return JSON.stringify({ nodes, links, groups: [], version: 0.4 }, null, 2);
}

it("a large file read in slices is what it is at once, and says how far it is", async () => {
  const text = large(4000);
  const parts: number[] = [];
  const workflow = await openFile(new TextEncoder().encode(text).buffer as ArrayBuffer, NONE, { progress: (part) => void parts.push(part) });
  expect(saveText(workflow, NONE)).toBe(saveText(openText(text, NONE), NONE));
  expect(workflow.graphs.get("")!.nodes.size).toBe(4000);
  expect(parts.length).toBeGreaterThan(0);
  expect(parts.every((part) => part >= 0 && part <= 1)).toBe(true);
});

it("opening can be ended", async () => {
  const ending = new AbortController();
  const opening = openFile(new TextEncoder().encode(large(8000)).buffer as ArrayBuffer, NONE, {
    signal: ending.signal,
    progress: () => ending.abort(),
  });
  await expect(opening).rejects.toThrow(/abort/i);
});

it("a large file that is no JSON says where", async () => {
  const text = `${large(4000).slice(0, -2)},\n}`;
  const opening = openFile(new TextEncoder().encode(text).buffer as ArrayBuffer, NONE);
  await expect(opening).rejects.toThrow(/line \d+, column 1/);
});
