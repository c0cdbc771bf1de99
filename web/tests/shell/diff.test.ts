import { expect, test } from "vitest";
import { createDocument } from "../../src/document/store";
import { ROOT, type Graph, type GraphNode, type Link, type Workflow } from "../../src/document/types";
import { both, commandTo, differences, isSame, MARKS } from "../../src/shell/versions/diff";

const node = (id: string, more: Partial<GraphNode> = {}): GraphNode => ({
  id, type: "Thing", x: 0, y: 0, width: 200, height: null, inputs: [{ name: "in", type: "A" }], outputs: [{ name: "OUT", type: "A" }], values: { steps: 20 }, mode: "always", ...more,
});
const link = (id: string, from: string, to: string): Link => ({ id, from, output: 0, to, input: 0, type: "A" });
const workflow = (nodes: readonly GraphNode[], links: readonly Link[] = []): Workflow => {
  const graph: Graph = { id: ROOT, name: "", nodes: new Map(nodes.map((one) => [one.id, one])), links: new Map(links.map((one) => [one.id, one])), groups: new Map(), inputs: [], outputs: [] };
  return { graphs: new Map([[ROOT, graph]]), form: [] };
};

const before = workflow([node("1", { title: "Loader" }), node("2"), node("3"), node("4"), node("6")], [link("1", "1", "2"), link("2", "3", "4")]);
const after = workflow(
  [node("1", { title: "Loader" }), node("2", { values: { steps: 30 } }), node("4", { x: 50 }), node("5"), node("6", { type: "Other" })],
  [link("9", "1", "2"), link("3", "1", "4")],
);

test("nodes that came, went, changed and moved, with their values and links", () => {
  const found = differences(before, after, new Map());
  const kinds = Object.fromEntries(found.nodes.map((one) => [one.id, one.kind]));
  expect(kinds).toEqual({ 2: "changed", 3: "removed", 4: "changed", 5: "added", "6": "added", "6·before": "removed" });
  expect(found.nodes.find((one) => one.id === "2")?.values).toEqual([{ name: "steps", before: "20", after: "30" }]);
  expect(found.nodes.find((one) => one.id === "4")?.values).toEqual([{ name: "in", before: "← Thing · OUT", after: "← Loader · OUT" }]);
  expect(found.links).toBe(2); // the link with another id goes the same way
});

test("what only moved is told apart from what changed", () => {
  expect(differences(workflow([node("1")]), workflow([node("1", { x: 9 })]), new Map()).nodes.map((one) => one.kind)).toEqual(["moved"]);
  expect(isSame(differences(before, before, new Map()))).toBe(true);
});

test("the graph of both has every node of either, marked, and only links that are valid", () => {
  const shown = both(before, after, differences(before, after, new Map())).graphs.get(ROOT)!;
  expect([...shown.nodes.keys()].sort()).toEqual(["1", "2", "3", "4", "5", "6", "6·before"]);
  expect(shown.nodes.get("3")?.color).toBe(MARKS.removed);
  expect(shown.nodes.get("1")?.color).toBeUndefined();
  const taken = new Set<string>();
  for (const one of shown.links.values()) {
    expect(shown.nodes.has(one.from) && shown.nodes.has(one.to)).toBe(true);
    expect(taken.has(`${one.to}.${one.input}`)).toBe(false);
    taken.add(`${one.to}.${one.input}`);
  }
});

test("a restored version is one step, and undo takes it back", () => {
  const document = createDocument(after);
  document.apply(commandTo(after, before), "Restore");
  expect(isSame(differences(document.workflow, before, new Map()))).toBe(true);
  document.undo();
  expect(isSame(differences(document.workflow, after, new Map()))).toBe(true);
});
