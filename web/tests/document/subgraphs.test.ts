import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyCommand } from "../../src/document/commands";
import { readEditor } from "../../src/document/read/editor";
import { readNative } from "../../src/document/read/native";
import { writeEditor } from "../../src/document/write/editor";
import { writeNative } from "../../src/document/write/native";
import { readInput } from "../../src/document/specs";
import { toPrompt } from "../../src/document/prompt";
import { duplicate } from "../../src/document/operations/clipboard";
import { movePort, promoteInput, promoteOutput, removePort, renamePort } from "../../src/document/operations/ports";
import { instancesOf, OperationError, toSubgraph, unpack } from "../../src/document/operations/subgraphs";
import { ROOT, type JsonObject } from "../../src/document/types";
import { anyGraph } from "./arbitrary";
import { examples, exampleSpecs } from "./corpus";
import { after, chain, inputs, root } from "./operating";
import { graph, link, node, workflow } from "./samples";

const NONE = new Map();

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
