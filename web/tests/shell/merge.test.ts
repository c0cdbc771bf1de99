import fc from "fast-check";
import { expect, test } from "vitest";
import { createDocument } from "../../src/document/store";
import { ROOT, type Graph, type GraphNode, type Json, type Link, type Workflow } from "../../src/document/types";
import { atomsOf, workflowOf } from "../../src/shell/versions/atoms";
import { commandTo, differences, isSame } from "../../src/shell/versions/diff";
import { merge, ofInput, ofNode, taking } from "../../src/shell/versions/merge";

const node = (id: string, more: Partial<GraphNode> = {}): GraphNode => ({
  id, type: "Thing", x: 0, y: 0, width: 200, height: null, inputs: [{ name: "in", type: "A" }, { name: "other", type: "A" }], outputs: [{ name: "OUT", type: "A" }], values: { steps: 20, seed: 1 }, mode: "always", ...more,
});
const link = (id: string, from: string, to: string, input = 0): Link => ({ id, from, output: 0, to, input, type: "A" });
const workflow = (nodes: readonly GraphNode[], links: readonly Link[] = []): Workflow => {
  const graph: Graph = { id: ROOT, name: "", nodes: new Map(nodes.map((one) => [one.id, one])), links: new Map(links.map((one) => [one.id, one])), groups: new Map(), inputs: [], outputs: [] };
  return { graphs: new Map([[ROOT, graph]]), form: [] };
};
const top = (one: Workflow): Graph => one.graphs.get(ROOT)!;
const same = (one: Workflow, other: Workflow): boolean => isSame(differences(one, other, new Map()));
const values = (one: Workflow, id: string): Readonly<Record<string, Json>> | undefined => top(one).nodes.get(id)?.values;

const base = workflow([node("1"), node("2"), node("3")], [link("1", "1", "2"), link("2", "2", "3")]);

test("facts put together again are the workflow, with its unchanged nodes themselves", () => {
  const again = workflowOf(atomsOf(base), base);
  expect(again).toEqual(base);
  expect(top(again).nodes.get("2")).toBe(top(base).nodes.get("2"));
});

test("one value, one link, a node that came and one that went are taken singly; undo takes each back", () => {
  const other = workflow([node("1"), node("2", { values: { steps: 30, seed: 7 }, title: "Mine" }), node("5")], [link("1", "1", "2"), link("9", "5", "2", 1)]);
  expect(values(taking(base, other, ofInput(ROOT, "2", "steps")), "2")).toEqual({ steps: 30, seed: 1 });
  expect(top(taking(base, other, ofInput(ROOT, "2", "title"))).nodes.get("2")?.title).toBe("Mine");
  const came = taking(base, other, ofNode(ROOT, "5", true));
  expect([...top(came).nodes.keys()]).toEqual(["1", "2", "3", "5"]);
  expect([...top(came).links.values()].some((one) => one.from === "5" && one.to === "2" && one.input === 1)).toBe(true);
  const went = taking(base, other, ofNode(ROOT, "3", true));
  expect([...top(went).nodes.keys()]).toEqual(["1", "2"]);
  expect([...top(went).links.keys()]).toEqual(["1"]);
  const document = createDocument(base);
  document.apply(commandTo(document.workflow, came), "Take");
  document.undo();
  expect(same(document.workflow, base)).toBe(true);
});

test("changes that do not touch each other are merged without a question", () => {
  const mine = workflow([node("1", { values: { steps: 25, seed: 1 } }), node("2", { x: 90 }), node("3"), node("4")], [link("1", "1", "2"), link("2", "2", "3"), link("5", "3", "4")]);
  const theirs = workflow([node("1", { values: { steps: 20, seed: 9 } }), node("2", { x: 50, title: "Theirs" }), node("3"), node("4", { type: "Another" })], [link("1", "1", "2"), link("7", "4", "3", 1)]);
  const made = merge(base, mine, theirs);
  expect(made.conflicts).toEqual([]);
  const result = made.finish(new Set());
  expect(values(result, "1")).toEqual({ steps: 25, seed: 9 });
  expect(top(result).nodes.get("2")).toMatchObject({ x: 90, title: "Theirs" });
  // Both added a node under one id: both are there, and the links of each lead to its own.
  expect([...top(result).nodes.values()].map((one) => one.type).sort()).toEqual(["Another", "Thing", "Thing", "Thing", "Thing"]);
  const paths = [...top(result).links.values()].map((one) => `${one.from}-${one.to}.${one.input}`).sort();
  const another = [...top(result).nodes.values()].find((one) => one.type === "Another")!.id;
  expect(paths).toEqual(["1-2.0", "3-4.0", `${another}-3.1`].sort());
});

test("what both changed is asked, and goes as it is answered", () => {
  const mine = workflow([node("1", { values: { steps: 25, seed: 1 } }), node("2"), node("3")], [link("1", "1", "2"), link("2", "1", "3")]);
  const theirs = workflow([node("1", { values: { steps: 30, seed: 1 } }), node("3", { values: { steps: 5, seed: 1 } })]);
  const made = merge(base, mine, theirs);
  expect(made.conflicts.map((one) => [one.kind, one.id, one.name])).toEqual([["value", "1", "steps"], ["link", "3", "in"]]);
  const kept = made.finish(new Set());
  expect([values(kept, "1")?.steps, values(kept, "3")?.steps, top(kept).nodes.has("2")]).toEqual([25, 5, false]);
  expect([...top(kept).links.values()].map((one) => `${one.from}-${one.to}`)).toEqual(["1-3"]);
  const taken = made.finish(new Set(made.conflicts.map((one) => one.key)));
  expect([values(taken, "1")?.steps, top(taken).links.size]).toEqual([30, 0]);
});

test("a node that one removed and the other changed is one question", () => {
  const mine = workflow([node("1"), node("2", { values: { steps: 99, seed: 2 } }), node("3")], [link("1", "1", "2"), link("2", "2", "3")]);
  const theirs = workflow([node("1"), node("3")]);
  const made = merge(base, mine, theirs);
  expect(made.conflicts.map((one) => [one.kind, one.id])).toEqual([["node", "2"]]);
  const kept = made.finish(new Set());
  expect(values(kept, "2")).toEqual({ steps: 99, seed: 2 });
  expect(top(kept).links.size).toBe(2);
  expect(top(made.finish(new Set([made.conflicts[0]!.key]))).nodes.has("2")).toBe(false);
});

test("whatever changes: against no change a merge gives the other side, and links are valid", () => {
  const some = fc.record({
    nodes: fc.uniqueArray(fc.record({ id: fc.constantFrom("1", "2", "3", "4", "5"), type: fc.constantFrom("Thing", "Other"), steps: fc.integer({ min: 0, max: 3 }) }), { selector: (one) => one.id }),
    links: fc.array(fc.tuple(fc.constantFrom("1", "2", "3", "4", "5"), fc.constantFrom("1", "2", "3", "4", "5"), fc.constantFrom(0, 1)), { maxLength: 6 }),
  });
  const made = some.map(({ nodes, links }) => {
    const ids = new Set(nodes.map((one) => one.id));
    const taken = new Set<string>();
    const good = links.filter(([from, to, input]) => ids.has(from) && ids.has(to) && !taken.has(`${to}.${input}`) && taken.add(`${to}.${input}`));
    return workflow(nodes.map((one) => node(one.id, { type: one.type, values: { steps: one.steps } })), good.map(([from, to, input], at) => link(String(at + 1), from, to, input)));
  });
  fc.assert(
    fc.property(made, made, made, (one, mine, theirs) => {
      expect(same(merge(one, one, theirs).finish(new Set()), theirs)).toBe(true);
      expect(same(merge(one, mine, one).finish(new Set()), mine)).toBe(true);
      const both = merge(one, mine, theirs);
      for (const chosen of [new Set<string>(), new Set(both.conflicts.map((conflict) => conflict.key))]) {
        const graph = top(both.finish(chosen));
        const inputs = [...graph.links.values()].map((each) => `${each.to}.${each.input}`);
        expect(new Set(inputs).size).toBe(inputs.length);
        for (const each of graph.links.values()) expect(graph.nodes.has(each.from) && graph.nodes.has(each.to)).toBe(true);
        for (const [id, each] of graph.nodes) expect([id, each.mode, each.width]).toEqual([each.id, "always", 200]);
      }
    }),
    { numRuns: 300 },
  );
});
