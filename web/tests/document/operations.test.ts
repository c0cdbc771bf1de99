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
import { addBend, along, setBend } from "../../src/document/operations/bends";
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

describe("branches", () => {
  /** x runs 1 → 2 through two points of the file; the branch goes 1 → 3 through the first of them. */
  const bent = { ...link("x", "1", "2"), id: "5", bends: [{ id: "4", x: 10, y: 20 }, { id: "6", x: 30, y: 40 }] };
  const before = () => workflow(graph([node("1"), node("2"), node("3")], [bent], { extra: { idleReroutes: ["9"] } }));
  const branch = (value: Workflow) => along(connect(root(value), "1", 0, "3", "b")!, { bends: bent.bends.slice(0, 1) });
  const bends = (value: Workflow, id: string) => root(value).links.get(id)?.bends?.map((bend) => [bend.id, bend.x, bend.y]);

  it("give the prompt that a direct link gives", () => {
    const value = before();
    expect(inputs(after(value, branch(value)))).toEqual(inputs(after(value, connect(root(value), "1", 0, "3", "b")!)));
  });

  it("are read as they were written, in either kind of row", () => {
    for (const schema1 of [false, true]) {
      const value = before();
      const made = after({ ...value, ...(schema1 && { extra: { version: 1 } }) }, branch(value));
      const file = writeEditor(made, NONE);
      const again = readEditor(file, NONE);
      expect([...root(again).links.values()].map((one) => one.bends)).toEqual([...root(made).links.values()].map((one) => one.bends));
      expect(writeEditor(again, NONE)).toEqual(file);
      const points = (file.reroutes ?? (file.extra as JsonObject).reroutes) as readonly JsonObject[];
      expect(points).toEqual([
        { id: 4, pos: [10, 20], linkIds: [5, 6] },
        { id: 6, pos: [30, 40], parentId: 4, linkIds: [5] },
      ]);
    }
  });

  it("share their points: moved, added before and taken away in all links that run through them", () => {
    const value = before();
    const made = after(value, branch(value));
    const moved = after(made, setBend(root(made), root(made).links.get("6")!, 0, { x: 1, y: 2 })!);
    expect([bends(moved, "5"), bends(moved, "6")]).toEqual([[["4", 1, 2], ["6", 30, 40]], [["4", 1, 2]]]);
    const more = after(moved, addBend(root(moved), root(moved).links.get("5")!, 0, { x: 0, y: 0 }).command);
    // Neither a link's nor the point that the file keeps without a link.
    expect([bends(more, "5"), bends(more, "6")]).toEqual([[["10", 0, 0], ["4", 1, 2], ["6", 30, 40]], [["10", 0, 0], ["4", 1, 2]]]);
    const last = addBend(root(more), root(more).links.get("6")!, 2, { x: 7, y: 7 });
    expect(last.bends.map((bend) => bend.id)).toEqual(["10", "4", "11"]);
    const own = after(more, last.command);
    expect([bends(own, "5")?.length, bends(own, "6")?.length]).toEqual([3, 3]);
    const less = after(own, setBend(root(own), root(own).links.get("5")!, 1, undefined)!);
    expect([bends(less, "5"), bends(less, "6")]).toEqual([[["10", 0, 0], ["6", 30, 40]], [["10", 0, 0], ["11", 7, 7]]]);
  });

  it("are held by a file whatever was done to them", () => {
    const steps = fc.array(fc.tuple(fc.constantFrom("add", "move", "remove", "branch", "cut"), fc.nat(20), fc.nat(20)), { maxLength: 12 });
    fc.assert(
      fc.property(steps, fc.boolean(), (list, schema1) => {
        let value: Workflow = before();
        for (const [what, at, place] of list) {
          const links = [...root(value).links.values()];
          const one = links[at % Math.max(1, links.length)];
          const count = one?.bends?.length ?? 0;
          const free = ["2", "3"].flatMap((id) => ["a", "b"].map((name, input) => ({ id, name, input }))).find(({ id, input }) => !links.some((other) => other.to === id && other.input === input));
          const command =
            one === undefined ? undefined
            : what === "add" ? addBend(root(value), one, place % (count + 1), { x: at, y: place }).command
            : what === "branch" ? free && along(connect(root(value), "1", 0, free.id, free.name)!, { bends: (one.bends ?? []).slice(0, place % (count + 1)) })
            : what === "cut" ? ({ do: "removeLinks", graph: ROOT, ids: [one.id] } as const)
            : setBend(root(value), one, place % Math.max(1, count), what === "move" ? { x: at, y: place } : undefined);
          if (command !== undefined) value = after(value, command);
          // Saved and opened on the way, as autosave and the next visit do.
          if (place % 4 === 0) value = readEditor(JSON.parse(JSON.stringify(writeEditor({ ...value, ...(schema1 && { extra: { version: 1 } }) }, NONE))) as JsonObject, NONE);
        }
        const again = readEditor(JSON.parse(JSON.stringify(writeEditor(value, NONE))) as JsonObject, NONE);
        const bendsOf = (of: Workflow) => [...root(of).links.values()].map((one) => [one.from, one.to, one.input, one.bends ?? []]);
        expect(bendsOf(again)).toEqual(bendsOf(value));
      }),
      { numRuns: 500 },
    );
  });

  it("of two outputs are two in a file, though they have one id", () => {
    const other = { ...link("x", "2", "3"), id: "7", bends: [{ id: "4", x: 77, y: 78 }] };
    const value = workflow(graph([node("1"), node("2"), node("3")], [bent, other]));
    const again = readEditor(JSON.parse(JSON.stringify(writeEditor(value, NONE))) as JsonObject, NONE);
    expect([bends(again, "5"), bends(again, "7")]).toEqual([[["4", 10, 20], ["6", 30, 40]], [["7", 77, 78]]]);
  });

  it("of copies are their own, twice pasted too", () => {
    const value = before();
    const made = after(value, branch(value));
    const once = after(made, duplicate(made, ROOT, ["1", "2", "3"], false).command);
    const twice = after(once, duplicate(once, ROOT, ["1", "2", "3"], false).command);
    const ids = [...root(twice).links.values()].map((one) => one.bends?.map((bend) => bend.id));
    expect(ids).toEqual([["4", "6"], ["4"], ["10", "11"], ["10"], ["12", "13"], ["12"]]);
  });
});
