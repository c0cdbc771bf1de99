import { describe, expect, it } from "vitest";
import { applyCommand } from "../../src/document/commands";
import { readInput } from "../../src/document/specs";
import {
  align,
  distribute,
  fitGroup,
  groupNodes,
  moveGroup,
  tidy,
  toggleMode,
} from "../../src/document/operations/arrange";
import { clipFromText, clipToText, copy, duplicate, paste } from "../../src/document/operations/clipboard";
import {
  connect,
  insertReroute,
  namePortal,
  removeKeepingLinks,
  togglePortals,
} from "../../src/document/operations/links";
import { migrate, replaceType } from "../../src/document/operations/replace";
import { toSubgraph } from "../../src/document/operations/subgraphs";
import { ROOT, type Workflow } from "../../src/document/types";
import { after, chain, inputs, root } from "./operating";
import { graph, link, node, workflow } from "./samples";

const NONE = new Map();

describe("portals", () => {
  it("have one name for each output, which is told apart from others and changed for all of its links", () => {
    let value = after(chain(), togglePortals(root(chain()), ["x", "y", "z"]));
    const names = () => Object.fromEntries([...root(value).links.values()].map((one) => [one.id, one.portal]));
    expect(names()).toEqual({ x: "IMAGE", y: "IMAGE 2", z: "IMAGE" });
    value = after(value, namePortal(root(value), "z", "picture"));
    expect(names()).toEqual({ x: "picture", y: "IMAGE 2", z: "picture" });
    value = after(value, togglePortals(root(value), ["x"]));
    expect(names()).toEqual({ x: undefined, y: "IMAGE 2", z: "picture" });
    // A wire among portals: all become portals, and the wire gets the name of its output back.
    value = after(value, togglePortals(root(value), ["x", "y"]));
    expect(names()).toEqual({ x: "picture", y: "IMAGE 2", z: "picture" });
    expect(inputs(value)).toEqual(inputs(chain()));
  });
});

describe("copies", () => {
  it("have ids of their own and the links between them, with those from outside when asked", () => {
    const value = after(chain(), duplicate(chain(), ROOT, ["2", "3"], false).command);
    expect(inputs(value)).toMatchObject({ "4": {}, "5": { a: ["4", 0] } });
    expect(Object.keys(inputs(value)["5"]!)).toEqual(["a"]);
    const linked = after(chain(), duplicate(chain(), ROOT, ["2", "3"]).command);
    expect(inputs(linked)).toMatchObject({ "4": { a: ["1", 0] }, "5": { a: ["4", 0], b: ["1", 0] } });
  });

  it("go through text into another document, subgraphs and all", () => {
    const made = toSubgraph(chain(), ROOT, ["2"], "Part");
    const from = applyCommand(chain(), made.command).workflow;
    const clip = clipFromText(clipToText(copy(from, ROOT, [made.instance, "3"])))!;
    const into = workflow(graph([node("7")]));
    const { command, ids } = paste(into, ROOT, clip, { x: 500, y: 500 });
    const value = after(into, command);
    expect(ids).toEqual(["8", "9"]);
    expect(Math.min(...ids.map((id) => root(value).nodes.get(id)!.x))).toBe(500);
    expect(Object.keys(inputs(value)).sort()).toEqual(["7", "8", "9:2"]);
    expect(clipFromText("hello")).toBeUndefined();
  });

  it("of a subgraph do not go into itself", () => {
    const made = toSubgraph(chain(), ROOT, ["2"], "Part");
    const value = applyCommand(chain(), made.command).workflow;
    const { ids } = paste(value, made.definition, copy(value, ROOT, [made.instance]), { x: 0, y: 0 });
    expect(ids).toEqual([]);
  });
});

describe("links", () => {
  it("stay when a node between goes", () => {
    expect(inputs(after(chain(), removeKeepingLinks(root(chain()), ["2"])))).toMatchObject({
      "3": { a: ["1", 0], b: ["1", 0] },
    });
    expect(inputs(after(chain(), removeKeepingLinks(root(chain()), ["1", "2"])))).toEqual({ "3": {} });
  });

  it("lead through a reroute as before", () => {
    const value = after(chain(), insertReroute(root(chain()), "y", 5, 5).command);
    expect(inputs(value)).toEqual(inputs(chain()));
    expect(root(value).nodes.get("4")!.type).toBe("Reroute");
  });

  it("make a socket of a widget", () => {
    const command = connect(root(chain()), "1", 0, "2", "size", readInput("size", ["INT", {}], "required"))!;
    const value = after(chain(), command);
    expect(root(value).nodes.get("2")!.inputs.at(-1)).toEqual({ name: "size", type: "INT", widget: "size" });
    expect(inputs(value)["2"]).toEqual({ a: ["1", 0], size: ["1", 0] });
    expect(connect(root(chain()), "1", 5, "2", "a")).toBeUndefined();
  });
});

describe("arranging", () => {
  const spread = () =>
    workflow(
      graph(
        [
          node("1", { x: 0, y: 10, height: 100 }),
          node("2", { x: 100, y: 55, height: 50 }),
          node("3", { x: 900, y: 90, height: 80 }),
        ],
        [link("x", "1", "2")],
      ),
    );
  const places = (value: Workflow) => [...root(value).nodes.values()].map((one) => [one.x, one.y]);

  it("lines up, spreads and tidies", () => {
    expect(places(after(spread(), align(root(spread()), ["1", "2", "3"], "left")))).toEqual([
      [0, 10],
      [0, 55],
      [0, 90],
    ]);
    expect(places(after(spread(), align(root(spread()), ["1", "2", "3"], "bottom")))).toEqual([
      [0, 70],
      [100, 120],
      [900, 90],
    ]);
    expect(places(after(spread(), distribute(root(spread()), ["1", "2", "3"], "x")))).toEqual([
      [0, 10],
      [450, 55],
      [900, 90],
    ]);
    const tidied = after(spread(), tidy(root(spread())));
    expect(root(tidied).nodes.get("2")!.x).toBeGreaterThanOrEqual(root(tidied).nodes.get("1")!.x + 200);
  });

  it("toggles modes together", () => {
    const one = after(chain(), toggleMode(root(chain()), ["1"], "mute"));
    const two = after(one, toggleMode(root(one), ["1", "2"], "mute"));
    expect([...root(two).nodes.values()].map((each) => each.mode)).toEqual(["mute", "mute", "always"]);
    const three = after(two, toggleMode(root(two), ["1", "2"], "mute"));
    expect([...root(three).nodes.values()].map((each) => each.mode)).toEqual(["always", "always", "always"]);
  });

  it("moves a group with its members, and no other node", () => {
    const made = groupNodes(root(spread()), ["1", "2"], "Start");
    let value = after(spread(), made.command);
    value = after(value, moveGroup(root(value), made.group, 10, 20));
    expect(places(value)).toEqual([
      [10, 30],
      [110, 75],
      [900, 90],
    ]);
    value = after(value, { do: "moveNodes", graph: ROOT, to: [{ id: "2", x: 700, y: 75 }] });
    value = after(value, fitGroup(root(value), made.group));
    expect(root(value).groups.get(made.group)).toMatchObject({ x: -14, width: 938, members: ["1", "2"] });
  });
});

describe("types", () => {
  const spec = {
    type: "Other",
    title: "Other",
    category: "",
    description: "",
    inputs: [
      readInput("b", ["IMAGE"], "required"),
      readInput("first", ["IMAGE"], "required"),
      readInput("c", ["STRING", {}], "required"),
      readInput("n", ["INT", { default: 3 }], "required"),
    ],
    outputs: [
      { name: "extra", type: "MASK", list: false },
      { name: "picture", type: "IMAGE", list: false },
    ],
    isOutput: false,
    deprecated: false,
    experimental: false,
  };

  it("are replaced with values and links by name, then by type", () => {
    const before = after(chain(), { do: "setValue", graph: ROOT, id: "2", input: "c", value: "kept" });
    const value = after(before, replaceType(root(before), "2", spec));
    expect(inputs(value)["2"]).toEqual({ c: "kept", n: 3, b: ["1", 0] });
    expect(inputs(value)["3"]).toEqual({ a: ["2", 1], b: ["1", 0] });
  });

  it("that changed are migrated, once, and said so", () => {
    const old = after(chain(), { do: "setValue", graph: ROOT, id: "2", input: "cfg", value: 4 });
    const rules = [
      {
        type: "Test",
        version: 2,
        rename: "New",
        inputs: { a: "image", cfg: "scale" },
        defaults: { mode: "old" },
        note: "Test is New now",
      },
    ];
    const { command, report } = migrate(old, rules, NONE);
    const value = after(old, command);
    expect(inputs(value)["2"]).toEqual({ scale: 4, mode: "old", image: ["1", 0] });
    expect(report.map((one) => one.node)).toEqual(["1", "2", "3"]);
    expect(migrate(value, [{ ...rules[0]!, type: "New" }], NONE).report).toEqual([]);
  });
});
