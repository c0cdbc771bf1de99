import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyCommand } from "../../src/document/commands";
import { createDocument } from "../../src/document/store";
import { newNode } from "../../src/document/nodes";
import { duplicate } from "../../src/document/operations/clipboard";
import { readEditor } from "../../src/document/read/editor";
import { readSpecs } from "../../src/document/specs";
import { toPrompt } from "../../src/document/prompt";
import { ROOT, type Command, type Json, type JsonObject } from "../../src/document/types";
import { writeEditor } from "../../src/document/write/editor";

const specs = readSpecs({
  Load: { input: { required: { file: [["a", "b"]] } }, output: ["MODEL"], output_name: ["MODEL"] },
  Sample: {
    input: {
      required: {
        model: ["MODEL"],
        seed: ["INT", { default: 0, control_after_generate: true }],
        steps: ["INT", { default: 20 }],
        name: ["STRING", {}],
      },
      optional: { mask: ["MASK"] },
    },
    output: ["LATENT"],
  },
  Picture: { input: { required: { image: [["cat.png"], { image_upload: true }] } }, output: ["IMAGE"] },
});

const file = (): JsonObject => ({
  last_node_id: 2,
  last_link_id: 1,
  nodes: [
    {
      id: 1,
      type: "Load",
      pos: [0, 0],
      size: [200, 100],
      flags: {},
      order: 0,
      mode: 0,
      outputs: [{ name: "MODEL", type: "MODEL", links: [1], slot_index: 0 }],
      widgets_values: ["b"],
    },
    {
      id: 2,
      type: "Sample",
      pos: { 0: 300, 1: 0 },
      size: { 0: 200, 1: 100 },
      flags: { collapsed: true },
      order: 1,
      mode: 0,
      inputs: [{ name: "model", type: "MODEL", link: 1 }],
      outputs: [{ name: "LATENT", type: "LATENT", links: null }],
      widgets_values: [5, "randomize", 30, "x", "more"],
      color: "#223",
      bgcolor: "#334",
    },
  ],
  links: [[1, 1, 0, 2, 0, "MODEL"]],
  groups: [{ title: "All", bounding: [-50, -50, 700, 300], color: "#3f789e" }],
  config: {},
  extra: {
    ds: { scale: 1, offset: [0, 0] },
    reroutes: [
      { id: 1, pos: [250, 20], linkIds: [1] },
      { id: 2, parentId: 1, pos: [270, 20], linkIds: [1] },
    ],
    linkExtensions: [{ id: 1, parentId: 2 }],
  },
  version: 0.4,
});

function edited(...commands: Command[]): JsonObject {
  const document = createDocument(readEditor(file(), specs));
  for (const command of commands) document.apply(command, "edit");
  return writeEditor(document.workflow, specs);
}

/** The file with one member replaced, given by its path. */
function withChange(path: readonly (string | number)[], value: Json, from: Json = file()): Json {
  if (path.length === 0) return value;
  const [key, ...rest] = path;
  const copy = (Array.isArray(from) ? [...from] : { ...(from as JsonObject) }) as Record<string | number, Json>;
  copy[key!] = withChange(rest, value, copy[key!]);
  return copy as Json;
}

describe("an edit changes its own place in the file", () => {
  it("a value, by the name that its place has", () => {
    expect(edited({ do: "setValue", graph: ROOT, id: "2", input: "steps", value: 31 })).toEqual(
      withChange(["nodes", 1, "widgets_values", 2], 31),
    );
    expect(edited({ do: "setValue", graph: ROOT, id: "2", input: "seed:control", value: "fixed" })).toEqual(
      withChange(["nodes", 1, "widgets_values", 1], "fixed"),
    );
  });

  it("a place, in the file's spelling", () => {
    expect(edited({ do: "moveNodes", graph: ROOT, to: [{ id: "2", x: 310, y: -30 }] })).toEqual(
      withChange(["nodes", 1, "pos"], { 0: 310, 1: 0 }),
    );
  });

  it("mode, title and flags", () => {
    const value = edited({
      do: "updateNode",
      graph: ROOT,
      id: "2",
      set: { mode: "bypass", title: "T", collapsed: undefined },
    });
    const expected = [
      ["mode", 4],
      ["title", "T"],
      ["flags", {}],
    ].reduce<Json>((made, [key, one]) => withChange(["nodes", 1, key as string], one as Json, made), file());
    expect(value).toEqual(expected);
  });

  it("a link that goes, with its bends", () => {
    const value = edited({ do: "removeLinks", graph: ROOT, ids: ["1"] });
    const changes: [(string | number)[], Json][] = [
      [["links"], []],
      [["nodes", 0, "outputs", 0, "links"], []],
      [["nodes", 1, "inputs", 0, "link"], null],
      [["extra", "reroutes"], []],
      [["extra", "linkExtensions"], []],
    ];
    expect(value).toEqual(changes.reduce<Json>((made, [path, one]) => withChange(path, one, made), file()));
  });

  it("a bend that moves", () => {
    const bends = [
      { id: "1", x: 250, y: 20 },
      { id: "2", x: 275, y: 25 },
    ];
    expect(edited({ do: "updateLink", graph: ROOT, id: "1", set: { bends } })).toEqual(
      withChange(["extra", "reroutes", 1, "pos"], [275, 25]),
    );
  });

  it("a socket that the file leaves out, once it is linked", () => {
    const value = edited({ do: "addNodes", graph: ROOT, nodes: [newNode(specs.get("Picture")!, "3", 0, 0)] });
    expect((value.nodes as Json[])[2]).toMatchObject({
      id: 3,
      type: "Picture",
      widgets_values: ["cat.png", "image"],
      mode: 0,
    });
    expect(value).toMatchObject({ last_node_id: 3, last_link_id: 1 });
    expect(readEditor(value, specs).graphs.get(ROOT)!.nodes.get("3")!.values).toEqual({ image: "cat.png" });
  });

  it("a copy, whose entry is the original's but for what makes it another", () => {
    const workflow = readEditor(file(), specs);
    const { command } = duplicate(workflow, ROOT, ["2"]);
    const value = writeEditor(applyCommand(workflow, command).workflow, specs);
    const { id, pos, inputs, ...rest } = (value.nodes as JsonObject[])[2]!;
    const { id: _id, pos: _pos, inputs: _inputs, ...original } = (file().nodes as JsonObject[])[1]!;
    expect([id, pos, inputs]).toEqual([3, { 0: 332, 1: 32 }, [{ name: "model", type: "MODEL", link: 2 }]]);
    expect(rest).toEqual(original);
    expect(toPrompt(readEditor(value, specs), specs)["3"]!.inputs).toEqual({
      model: ["1", 0],
      seed: 5,
      steps: 30,
      name: "x",
    });
  });
});

it("unknown node types keep their list, and an edit of a place changes that place", () => {
  const document = createDocument(readEditor(file(), new Map()));
  expect(document.node(ROOT, "2")!.values).toEqual({ "#0": 5, "#1": "randomize", "#2": 30, "#3": "x", "#4": "more" });
  document.apply({ do: "setValue", graph: ROOT, id: "2", input: "#2", value: 31 }, "edit");
  expect(writeEditor(document.workflow, new Map())).toEqual(withChange(["nodes", 1, "widgets_values", 2], 31));
});

it("keys that nobody knows come back, wherever they stand", () => {
  const places: (string | number)[][] = [
    [],
    ["nodes", 0],
    ["nodes", 1],
    ["nodes", 1, "flags"],
    ["nodes", 1, "inputs", 0],
    ["nodes", 0, "outputs", 0],
    ["groups", 0],
    ["extra"],
    ["config"],
    ["extra", "reroutes", 0],
  ];
  const key = fc.stringMatching(/^x[a-z_]{0,8}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...places), key, fc.jsonValue()), { maxLength: 8 }), (additions) => {
      const data = additions.reduce<Json>(
        (made, [path, name, value]) => withChange([...path, name], value as Json, made),
        file(),
      );
      expect(writeEditor(readEditor(data as JsonObject, specs), specs)).toEqual(data);
      expect(writeEditor(readEditor(data as JsonObject, new Map()), new Map())).toEqual(data);
    }),
    { numRuns: 200 },
  );
});
