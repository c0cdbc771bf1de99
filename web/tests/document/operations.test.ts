import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyCommand } from "../../src/document/commands";
import { readEditor } from "../../src/document/read/editor";
import { readNative } from "../../src/document/read/native";
import { writeEditor } from "../../src/document/write/editor";
import { writeNative } from "../../src/document/write/native";
import { readInput } from "../../src/document/specs";
import { toPrompt } from "../../src/document/prompt";
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
import { connect, insertReroute, namePortal, removeKeepingLinks, togglePortals } from "../../src/document/operations/links";
import { movePort, promoteInput, promoteOutput, removePort, renamePort } from "../../src/document/operations/ports";
import { migrate, replaceType } from "../../src/document/operations/replace";
import { instancesOf, OperationError, toSubgraph, unpack } from "../../src/document/operations/subgraphs";
import { ROOT, type Command, type Graph, type JsonObject, type Workflow } from "../../src/document/types";
import { anyGraph } from "./arbitrary";
import { examples, exampleSpecs } from "./corpus";
import { graph, link, node, plain, workflow } from "./samples";

const NONE = new Map();
const root = (value: Workflow): Graph => value.graphs.get(ROOT)!;
const inputs = (value: Workflow) =>
  Object.fromEntries(Object.entries(toPrompt(value, NONE)).map(([id, one]) => [id, one.inputs]));

/** Applies, and checks on the way that the inverse brings everything back. */
function after(value: Workflow, command: Command): Workflow {
  const { workflow: next, inverse } = applyCommand(value, command);
  expect(plain(applyCommand(next, inverse).workflow)).toBe(plain(value));
  return next;
}

const chain = () =>
  workflow(
    graph([node("1"), node("2"), node("3")], [link("x", "1", "2"), link("y", "2", "3"), link("z", "1", "3", 1)]),
  );

describe("subgraphs", () => {
  it("run as their nodes did, and so do the nodes when they are unpacked", () => {
    fc.assert(
      fc.property(anyGraph, fc.array(fc.nat(13), { minLength: 1 }), (before, picks) => {
        const ids = picks.map((pick) => String((pick % root(before).nodes.size) + 1));
        const { command, instance } = toSubgraph(before, ROOT, ids, "Part");
        const packed = after(before, command);
        const flat = JSON.parse(JSON.stringify(inputs(packed)).replaceAll(`"${instance}:`, '"')) as unknown;
        expect(flat).toEqual(inputs(before));
        const unpacked = after(packed, unpack(packed, ROOT, instance).command);
        expect(inputs(unpacked)).toEqual(inputs(before));
        expect(unpacked.graphs.size).toBe(1);
      }),
      { numRuns: 300 },
    );
  });

  it("within subgraphs run as well", () => {
    fc.assert(
      fc.property(
        anyGraph,
        fc.array(fc.nat(13), { minLength: 1 }),
        fc.array(fc.nat(13), { minLength: 1 }),
        (before, picks, more) => {
          const first = toSubgraph(
            before,
            ROOT,
            picks.map((pick) => String((pick % root(before).nodes.size) + 1)),
            "One",
          );
          const once = after(before, first.command);
          const all = [...root(once).nodes.keys()];
          const second = toSubgraph(
            once,
            ROOT,
            [first.instance, ...more.map((pick) => all[pick % all.length]!)],
            "Two",
          );
          let value = after(once, second.command);
          value = after(value, unpack(value, ROOT, second.instance).command);
          const left = instancesOf(value, first.definition)[0]!;
          value = after(value, unpack(value, ...([left[0], left[1].id] as const)).command);
          expect(inputs(value)).toEqual(inputs(before));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("made of examples run as they did", () => {
    for (const { workflow: file } of examples) {
      const before = readEditor(file, exampleSpecs);
      const ids = [...root(before).nodes.keys()].filter((_, place) => place % 2 === 1);
      const { command, instance } = toSubgraph(before, ROOT, ids, "Half");
      const packed = after(before, command);
      const flat = JSON.parse(
        JSON.stringify(toPrompt(packed, exampleSpecs)).replaceAll(`"${instance}:`, '"'),
      ) as unknown;
      expect(flat).toEqual(toPrompt(before, exampleSpecs));
      expect(toPrompt(after(packed, unpack(packed, ROOT, instance).command), exampleSpecs)).toEqual(
        toPrompt(before, exampleSpecs),
      );
    }
  });

  it("show what is promoted, rename it, and take it away again", () => {
    const made = toSubgraph(chain(), ROOT, ["2"], "Part");
    let value = after(chain(), made.command);
    const spec = readInput("seed", ["INT", {}], "required");
    const inner = applyCommand(value, {
      do: "setValue",
      graph: made.definition,
      id: "2",
      input: "seed",
      value: 7,
    }).workflow;
    const promoted = promoteInput(inner, made.definition, "2", "seed", spec);
    value = after(inner, promoted.command);
    const instance = () => root(value).nodes.get(made.instance)!;
    expect(instance().values).toEqual({ seed: 7 });
    value = after(value, { do: "setValue", graph: ROOT, id: made.instance, input: "seed", value: 8 });
    expect(inputs(value)[`${made.instance}:2`]).toMatchObject({ seed: 8 });
    value = after(value, renamePort(value, made.definition, "inputs", "seed", " number "));
    expect(inputs(value)[`${made.instance}:2`]).toMatchObject({ seed: 8 });
    expect(instance().inputs.map((slot) => [slot.name, slot.label])).toEqual([["a", undefined], ["seed", "number"]]);
    const bare = after(value, renamePort(value, made.definition, "inputs", "seed", ""));
    expect(root(bare).nodes.get(made.instance)!.inputs[1]).not.toHaveProperty("label");
    const output = promoteOutput(value, made.definition, "2", 0);
    value = after(value, output.command);
    expect(instance().outputs.map((slot) => slot.name)).toEqual(["IMAGE", "IMAGE 2"]);
    value = after(value, removePort(value, made.definition, "inputs", "a"));
    expect(instance().inputs.map((slot) => slot.name)).toEqual(["seed"]);
    expect(inputs(value)[`${made.instance}:2`]).toEqual({ seed: 8 });
  });

  it("run the same however their inputs and outputs are called and ordered, here and from a file", () => {
    const change = fc.record({ side: fc.constantFrom("inputs" as const, "outputs" as const), from: fc.nat(9), to: fc.nat(9), label: fc.constantFrom("", "one", "two", "ä\n") });
    const made = fc.tuple(anyGraph, fc.array(fc.nat(13), { minLength: 1 }), fc.array(change, { minLength: 1, maxLength: 5 }));
    fc.assert(
      fc.property(made, ([before, picks, changes]) => {
        const ids = picks.map((pick) => String((pick % root(before).nodes.size) + 1));
        const { command, definition } = toSubgraph(before, ROOT, ids, "Part");
        let value = after(before, command);
        const runs = inputs(value);
        // Two instances, so that all of them have to follow, and a value at each that has to stay with its name.
        const instance = instancesOf(value, definition)[0]![1];
        value = applyCommand(value, duplicate(value, ROOT, [instance.id]).command).workflow;
        for (const [, one] of instancesOf(value, definition))
          for (const slot of one.inputs)
            if (slot.widget !== undefined) value = applyCommand(value, { do: "setValue", graph: ROOT, id: one.id, input: slot.name, value: `${one.id} ${slot.name}` }).workflow;
        const both = inputs(value);
        for (const { side, from, to, label } of changes) {
          const slots = value.graphs.get(definition)![side];
          const name = slots[from % Math.max(1, slots.length)]?.name;
          if (name === undefined) continue;
          value = after(value, renamePort(value, definition, side, name, label));
          value = after(value, movePort(value, definition, side, from % slots.length, to % slots.length));
          for (const [, one] of instancesOf(value, definition)) {
            const now = value.graphs.get(definition)![side];
            expect(one[side].map((slot) => slot.label)).toEqual(now.map((slot) => slot.label));
            expect(one[side].map((slot) => slot.name)).toEqual(now.map((slot) => slot.name));
          }
          expect(inputs(value)).toEqual(both);
          const file = (write: JsonObject) => JSON.parse(JSON.stringify(write)) as JsonObject;
          expect(inputs(readNative(file(writeNative(value)), NONE))).toEqual(both);
          // A null leaves the value inside as it is.
          const set = (values: object) => Object.fromEntries(Object.entries(values).filter(([, one]) => one !== null));
          // The ecosystem's files name an instance's values by their places alone.
          const read = readEditor(file(writeEditor(value, NONE)), NONE);
          for (const [, one] of instancesOf(value, definition)) expect(set(root(read).nodes.get(one.id)!.values)).toEqual(set(one.values));
          value = { ...value, graphs: new Map([...value.graphs, [ROOT, { ...root(value), nodes: new Map([...root(value).nodes].map(([id, one]) => [id, one.type === definition ? root(read).nodes.get(id)! : one])) }]]) };
        }
        expect(Object.keys(both).length).toBeGreaterThanOrEqual(Object.keys(runs).length);
      }),
      { numRuns: 100 },
    );
  });

  it("lose an input at every instance and in the form; what is linked elsewhere stays", () => {
    const made = toSubgraph(chain(), ROOT, ["2"], "Part");
    const spec = readInput("seed", ["INT", {}], "required");
    let value = after(chain(), made.command);
    value = after(value, promoteInput(value, made.definition, "2", "seed", spec).command);
    value = after(value, { do: "setForm", form: [{ node: made.instance, input: "seed" }, { node: "3", input: "seed" }] });
    value = after(value, removePort(value, made.definition, "inputs", "seed"));
    expect(value.form).toEqual([{ node: "3", input: "seed" }]);
  });

  it("keep their borders where the file and the user put them", () => {
    const made = toSubgraph(chain(), ROOT, ["2"], "Part");
    let value = after(chain(), made.command);
    expect(value.graphs.get(made.definition)!.borders).toBeUndefined();
    value = after(value, { do: "placeBorder", graph: made.definition, border: "outputs", at: { x: 700, y: 20 } });
    const file = JSON.parse(JSON.stringify(writeEditor(value, NONE))) as { definitions: { subgraphs: { inputNode: unknown; outputNode: unknown }[] } };
    expect(file.definitions.subgraphs[0]).toMatchObject({ inputNode: { id: -10, bounding: [-280, 0, 120, 60] }, outputNode: { id: -20, bounding: [700, 20, 120, 60] } });
    value = readEditor(file as unknown as JsonObject, NONE);
    expect(value.graphs.get(made.definition)!.borders).toEqual({ inputs: { x: -280, y: 0 }, outputs: { x: 700, y: 20 } });
    expect(writeEditor(value, NONE)).toEqual(file);
    value = after(value, { do: "placeBorder", graph: made.definition, border: "inputs", at: { x: 1, y: 2 } });
    value = after(value, { do: "placeBorder", graph: made.definition, border: "outputs", at: null });
    const native = readNative(JSON.parse(JSON.stringify(writeNative(value))) as JsonObject, NONE);
    expect(native.graphs.get(made.definition)!.borders).toEqual({ inputs: { x: 1, y: 2 } });
    expect(writeNative(native)).toEqual(writeNative(value));
  });

  it("have bookmarks in them that files keep", () => {
    const made = toSubgraph(chain(), ROOT, ["2"], "Part");
    let value = after(chain(), made.command);
    value = after(value, { do: "setBookmark", digit: "2", to: { graph: made.definition, x: 4, y: 5, zoom: 0.5, node: "2" } });
    value = after(value, { do: "setBookmark", digit: "1", to: { graph: ROOT, x: 1, y: 2, zoom: 1 } });
    value = after(value, { do: "setBookmark", digit: "2", to: null });
    value = after(value, { do: "setBookmark", digit: "2", to: { graph: made.definition, x: 4, y: 5, zoom: 0.5, node: "2" } });
    const text = (one: JsonObject) => JSON.parse(JSON.stringify(one)) as JsonObject;
    const editor = readEditor(text(writeEditor(value, NONE)), NONE);
    expect(editor.bookmarks).toEqual(value.bookmarks);
    expect(readNative(text(writeNative(value)), NONE).bookmarks).toEqual(value.bookmarks);
    const named = after(value, { do: "setBookmark", digit: "1", to: { graph: ROOT, x: 1, y: 2, zoom: 1, name: "the start" } });
    expect(readEditor(text(writeEditor(named, NONE)), NONE).bookmarks?.["1"]?.name).toBe("the start");
    expect(readNative(text(writeNative(named)), NONE).bookmarks).toEqual(named.bookmarks);
    const gone = after(after(editor, { do: "setBookmark", digit: "1", to: null }), { do: "setBookmark", digit: "2", to: null });
    expect(text(writeEditor(gone, NONE)).extra).toEqual({});
    expect(readEditor({ ...text(writeEditor(value, NONE)), extra: { safelight_bookmarks: { x: 1, "3": { graph: "gone", x: 0, y: 0, zoom: 1 } } } }, NONE).bookmarks).toBeUndefined();
  });

  it("do not cut wires by name", () => {
    const named = (id: string, type: string) => node(id, { type, values: { "#0": "w" } });
    const value = workflow(graph([named("1", "SetNode"), named("2", "GetNode"), node("3")], [link("x", "2", "3")]));
    expect(() => toSubgraph(value, ROOT, ["2", "3"], "x")).toThrow(OperationError);
  });
});

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
