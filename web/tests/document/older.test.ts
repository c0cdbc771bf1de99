/** What older files hold: group nodes, prompts without places, values that pass through reroutes. */
import { describe, expect, it } from "vitest";
import { applyCommand } from "../../src/document/commands";
import { nativeFormNeeded, openText, readWorkflow, saveText } from "../../src/document/open";
import { groupToSubgraph, isGroupNode } from "../../src/document/operations/groupNodes";
import { unpack } from "../../src/document/operations/subgraphs";
import { toPrompt } from "../../src/document/prompt";
import { INPUTS, ROOT, type Json, type JsonObject, type Workflow } from "../../src/document/types";
import { graph, link, node, plain, workflow } from "./samples";

const NONE = new Map();
const ran = (value: Workflow, known = NONE) =>
  Object.fromEntries(Object.entries(toPrompt(value, known)).map(([id, one]) => [id, [one.class_type, one.inputs]]));

const grouped = {
  nodes: [
    { id: 1, type: "Source", outputs: [{ name: "IMAGE", type: "IMAGE", links: [1] }] },
    { id: 2, type: "workflow>Pair", inputs: [{ name: "a", type: "IMAGE", link: 1 }], outputs: [{ name: "IMAGE", type: "IMAGE", links: [2] }] },
    { id: 3, type: "Sink", inputs: [{ name: "a", type: "IMAGE", link: 2 }] },
  ],
  links: [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"]],
  extra: {
    groupNodes: {
      Pair: {
        nodes: [
          { type: "First", inputs: [{ name: "a", type: "IMAGE" }], outputs: [{ name: "IMAGE", type: "IMAGE" }] },
          { type: "Second", inputs: [{ name: "a", type: "IMAGE" }], outputs: [{ name: "IMAGE", type: "IMAGE" }] },
        ],
        links: [[0, 0, 1, 0, 1, "IMAGE"]],
      },
    },
  },
  version: 0.4,
} as unknown as JsonObject;

describe("group nodes", () => {
  const convertAll = (before: Workflow, known: typeof NONE): Workflow => {
    let now = before;
    for (const one of before.graphs.get(ROOT)!.nodes.values()) {
      if (!isGroupNode(before, one)) continue;
      const { command } = groupToSubgraph(now, ROOT, one.id, known);
      const applied = applyCommand(now, command);
      expect(plain(applyCommand(applied.workflow, applied.inverse).workflow)).toBe(plain(now));
      now = applied.workflow;
    }
    return now;
  };

  it("run the same as subgraphs, also saved and read again", () => {
    const before = readWorkflow(grouped, NONE);
    const after = convertAll(before, NONE);
    expect(after.graphs.size).toBe(2);
    expect(Object.keys(ran(before))).toHaveLength(4);
    expect(ran(after)).toEqual(ran(before));
    expect(ran(openText(saveText(after, NONE), NONE))).toEqual(ran(before));
    expect(ran(openText(saveText(after, NONE, "native"), NONE))).toEqual(ran(before));
  });
});

it("unpacking keeps a value that reaches its widget through a reroute", () => {
  const inner = graph(
    [
      node("1", { type: "Reroute", inputs: [{ name: "", type: "*" }], outputs: [{ name: "", type: "INT" }] }),
      node("2", { inputs: [{ name: "n", type: "INT", widget: "n" }], values: { n: 1 } }),
    ],
    [{ ...link("a", INPUTS, "1"), type: "INT" }, { ...link("b", "1", "2"), type: "INT" }],
    { id: "part", inputs: [{ name: "n", type: "INT" }] },
  );
  const before = workflow(
    graph([node("9", { type: "part", inputs: [{ name: "n", type: "INT", widget: "n" }], outputs: [], values: { n: 7 } })]),
    inner,
  );
  expect(Object.values(ran(before))).toEqual([["Test", { n: 7 }]]);
  const after = applyCommand(before, unpack(before, ROOT, "9").command).workflow;
  expect(Object.values(ran(after))).toEqual([["Test", { n: 7 }]]);
});

it("an API prompt asks for the native form once something was placed, not for a value", () => {
  const text = JSON.stringify({ 1: { class_type: "A", inputs: { seed: 1 } }, 2: { class_type: "B", inputs: { a: ["1", 0] } } } satisfies Record<string, Json>);
  const before = openText(text, NONE);
  const edited = applyCommand(before, { do: "setValue", graph: ROOT, id: "1", input: "seed", value: 2 }).workflow;
  const moved = applyCommand(before, { do: "moveNodes", graph: ROOT, to: [{ id: "1", x: 500, y: 0 }] }).workflow;
  expect([before, edited, moved].map((now) => nativeFormNeeded(before, now))).toEqual([false, false, true]);
});

it("portals and hidden links are saved in every form that has a place for them", () => {
  for (const form of ["native", "0.4", "1"] as const) {
    let value = openText(saveText(workflow(graph([node("1"), node("2")], [link("1", "1", "2"), link("2", "1", "2", 1)])), NONE, form), NONE);
    const [first, second] = [...value.graphs.get(ROOT)!.links.keys()];
    const untouched = saveText(value, NONE);
    value = applyCommand(value, { do: "updateLink", graph: ROOT, id: first!, set: { portal: "there" } }).workflow;
    value = applyCommand(value, { do: "updateLink", graph: ROOT, id: second!, set: { hidden: true } }).workflow;
    const again = openText(saveText(value, NONE), NONE);
    const looks = [...again.graphs.get(ROOT)!.links.values()].map(({ hidden, portal }) => [hidden, portal]);
    expect(looks).toEqual([[undefined, "there"], [true, undefined]]);
    value = applyCommand(again, { do: "updateLink", graph: ROOT, id: first!, set: { portal: undefined } }).workflow;
    value = applyCommand(value, { do: "updateLink", graph: ROOT, id: second!, set: { hidden: undefined } }).workflow;
    if (form === "native") expect(saveText(value, NONE)).toBe(untouched);
    else expect(saveText(value, NONE)).not.toContain("safelight_links");
  }
});
