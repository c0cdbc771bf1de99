import { expect, test } from "vitest";
import { bridge, type Host } from "../../src/extensions/bridge";
import { withWidget } from "../../src/extensions/widgets";
import { readManifest, type Permission } from "../../src/extensions/manifest";
import type { NodeSpec } from "../../src/document/types";

const good = {
  api: 1, title: "Good", may: ["read"],
  panels: [{ id: "one", title: "One", page: "pages/one.html" }],
  commands: [{ id: "open", title: "Open", openPanel: "one" }, { id: "add", title: "Add", addNode: "Tint", values: { amount: 1 } }],
  widgets: [{ node: "Tint", input: "amount", as: "slider", min: -5, max: 0.5 }],
};

test("a good manifest is read, with what it may", () => {
  const read = readManifest(good);
  expect([...read.may]).toEqual(["read"]);
  expect(read.commands[1]?.action).toEqual({ addNode: "Tint", values: { amount: 1 } });
});

test.each([
  ["another version", { ...good, api: 2 }, /version 2/],
  ["a page elsewhere", { ...good, panels: [{ id: "a", title: "A", page: "https://evil.example/a.html" }] }, /page/],
  ["a page above", { ...good, panels: [{ id: "a", title: "A", page: "../a.html" }] }, /page/],
  ["more rights than there are", { ...good, may: ["everything"] }, /may/],
  ["a panel that is not there", { ...good, commands: [{ id: "a", title: "A", openPanel: "nope" }] }, /no panel/],
  ["values that are no values", { ...good, commands: [{ id: "a", title: "A", addNode: "T", values: { a: {} } }] }, /values/],
  ["no title", { ...good, title: 5 }, /title/],
  ["a list", [], /object/],
])("refused: %s", (_, manifest, says) => {
  expect(() => readManifest(manifest)).toThrow(says);
});

function hostOf(done: unknown[]): Host {
  return {
    selection: () => ["1"], node: () => undefined, nodes: () => [], say: (text) => done.push(text), theme: () => ({}),
    setValue: (...given) => void done.push(given),
    addNode: () => { throw new Error("there is no such node"); },
  };
}
const asking = (may: readonly Permission[], done: unknown[] = [], now = () => 0) => bridge(hostOf(done), new Set(may), now);

test("only what the manifest asked for is answered", () => {
  const done: unknown[] = [];
  const reading = asking(["read"], done);
  expect(reading({ safelight: 1, id: 1, ask: "selection" })).toEqual({ safelight: 1, id: 1, value: ["1"] });
  expect(reading({ safelight: 1, id: 2, ask: "setValue", node: "1", input: "x", value: 1 })?.error).toMatch(/edit/);
  expect(done).toEqual([]);
  expect(asking(["edit"], done)({ safelight: 1, id: 3, ask: "setValue", node: "1", input: "x", value: 1 })?.value).toBe(true);
  expect(done).toEqual([["1", "x", 1]]);
});

test("what is no question of this version is not answered, or refused by name", () => {
  const any = asking(["read", "edit"]);
  for (const odd of [null, 5, "selection", {}, { safelight: 2, id: 1, ask: "selection" }, { safelight: 1, ask: "selection" }]) expect(any(odd)).toBeUndefined();
  expect(any({ safelight: 1, id: 1, ask: "constructor" })?.error).toMatch(/no “constructor”/);
  expect(any({ safelight: 1, id: 1, ask: "setValue", node: "1", input: "x", value: { a: 1 } })?.error).toMatch(/value/);
  expect(any({ safelight: 1, id: 1, ask: "addNode", type: "Nope" })?.error).toBe("there is no such node");
});

test("a flood of questions is not answered", () => {
  let now = 0;
  const any = asking(["read"], [], () => now);
  const answers = Array.from({ length: 500 }, (_, id) => any({ safelight: 1, id, ask: "selection" })).filter((one) => one !== undefined);
  expect(answers.length).toBe(61);
  now = 1000;
  expect(any({ safelight: 1, id: 1, ask: "selection" })?.value).toEqual(["1"]);
});

test("a declared widget narrows what the node takes and never widens it", () => {
  const spec = { type: "Tint", inputs: [{ name: "amount", type: "FLOAT", group: "required", widget: true, min: 0, max: 1, options: {} }] } as unknown as NodeSpec;
  const input = withWidget(spec, { node: "Tint", input: "amount", as: "slider", min: -5, max: 0.5 }).inputs[0]!;
  expect([input.min, input.max, input.options.display]).toEqual([0, 0.5, "slider"]);
});
