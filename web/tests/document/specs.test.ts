import { describe, expect, it } from "vitest";
import { readEditor } from "../../src/document/read/editor";
import { shownInputs } from "../../src/document/shown";
import { promoteInput } from "../../src/document/operations/ports";
import { toSubgraph } from "../../src/document/operations/subgraphs";
import { applyCommand } from "../../src/document/commands";
import { defaultOf, effectiveInputs, readInput, readSpecs } from "../../src/document/specs";
import { choicesWithin, compatible, typeIndex, wouldCycle } from "../../src/document/typeRules";
import { INPUTS, ROOT, type Json } from "../../src/document/types";
import { placesOf } from "../../src/document/widgets";
import { examples, exampleSpecs } from "./corpus";
import { graph, link, node, workflow } from "./samples";

const input = (entry: Json) => readInput("x", entry, "required");

describe("inputs", () => {
  it.each<[string, Json, object]>([
    [
      "a list of choices",
      [["a", "b"], { default: "b" }],
      { type: "COMBO", choices: ["a", "b"], default: "b", widget: true },
    ],
    ["COMBO with options", ["COMBO", { options: ["a", "b"] }], { type: "COMBO", choices: ["a", "b"], widget: true }],
    [
      "a number",
      ["INT", { default: 3, min: 0, max: 9, step: 2 }],
      { type: "INT", min: 0, max: 9, step: 2, default: 3, widget: true },
    ],
    ["a text", ["STRING", { multiline: true, tooltip: "t" }], { multiline: true, tooltip: "t", widget: true }],
    ["a number that must be linked", ["FLOAT", { forceInput: true }], { widget: false }],
    ["a socket", ["MODEL"], { type: "MODEL", widget: false }],
    ["a bare type", "UNIQUE_ID", { type: "UNIQUE_ID", widget: false }],
    ["any type", ["*"], { type: "*", widget: false }],
    ["a widget of a pack's own", ["COLOR", {}], { type: "COLOR", widget: true }],
  ])("%s", (_name, entry, expected) => {
    expect(input(entry)).toMatchObject(expected);
  });

  it("have defaults", () => {
    expect([["INT"], ["STRING"], ["BOOLEAN"], [["a"]], ["MODEL"]].map((entry) => defaultOf(input(entry)))).toEqual([
      0,
      "",
      false,
      "a",
      undefined,
    ]);
  });

  it("of a node stand in the declared order, sections apart", () => {
    const spec = readSpecs({
      N: {
        input: { required: { a: ["INT"], b: ["INT"] }, optional: { c: ["INT"] }, hidden: { id: "UNIQUE_ID" } },
        input_order: { required: ["b", "a"] },
        output: ["INT", ["p", "q"]],
        output_name: ["n"],
      },
    }).get("N")!;
    expect(spec.inputs.map((one) => `${one.name} ${one.group}`)).toEqual([
      "b required",
      "a required",
      "c optional",
      "id hidden",
    ]);
    expect(spec.outputs).toEqual([
      { name: "n", type: "INT", list: false },
      { name: "COMBO", type: "COMBO", list: false },
    ]);
  });

  it("come and go with what is chosen and linked", () => {
    const inputs = [
      readInput(
        "mode",
        [
          "COMFY_DYNAMICCOMBO_V3",
          {
            options: [
              { key: "one", inputs: { required: { size: ["INT", { default: 4 }] } } },
              { key: "two", inputs: {} },
            ],
          },
        ],
        "required",
      ),
      readInput(
        "images",
        [
          "COMFY_AUTOGROW_V3",
          { template: { input: { required: { image: ["IMAGE", {}] } }, prefix: "image", min: 1, max: 3 } },
        ],
        "required",
      ),
    ];
    const names = (values: Record<string, Json>, linked: string[]) =>
      effectiveInputs(inputs, values, (name) => linked.includes(name)).map((one) => one.name);
    expect(names({}, [])).toEqual(["mode", "mode.size", "images.image0"]);
    expect(names({ mode: "two" }, ["images.image0"])).toEqual(["mode", "images.image0", "images.image1"]);
    expect(names({ mode: "two" }, ["images.image2"])).toEqual([
      "mode",
      "images.image0",
      "images.image1",
      "images.image2",
    ]);
    const spec = readSpecs({
      N: {
        input: {
          required: {
            mode: inputs[0]!.options.options ? ["COMFY_DYNAMICCOMBO_V3", inputs[0]!.options] : [],
            after: ["INT"],
          },
        },
        output: [],
      },
    }).get("N")!;
    expect(placesOf(spec, [], ["one", 9, 5])).toEqual(["mode", "mode.size", "after"]);
    expect(placesOf(spec, [], ["two", 5])).toEqual(["mode", "after"]);
  });
});

describe("socket types", () => {
  it.each([
    ["IMAGE", "IMAGE", true],
    ["IMAGE", "MASK", false],
    ["IMAGE,MASK", "MASK", true],
    ["A, B", "C,B", true],
    ["*", "MODEL", true],
    ["MODEL", "*", true],
    ["MODEL", "", true],
    ["STRING", "COMBO", true],
    ["COMBO", "STRING", false],
    ["INT", "FLOAT", false],
  ])("%s into %s: %s", (output, taken, fits) => {
    expect(compatible(output, taken)).toBe(fits);
  });

  it("say who takes and who gives", () => {
    const index = typeIndex(
      readSpecs({
        A: { input: { required: { x: ["IMAGE,MASK"] } }, output: ["IMAGE"] },
        B: { input: { required: { y: ["IMAGE"] } }, output: ["MASK"] },
      }),
    );
    expect(index.takers("IMAGE").map((one) => `${one.type}.${one.slot} ${one.exact}`)).toEqual([
      "B.y true",
      "A.x false",
    ]);
    expect(index.givers("MASK").map((one) => one.type)).toEqual(["B"]);
    expect(choicesWithin(input([["a"]]), input([["a", "b"]]))).toBe(true);
    expect(choicesWithin(input([["a", "c"]]), input([["a", "b"]]))).toBe(false);
  });

  it("do not close circles", () => {
    const value = graph([node("1"), node("2"), node("3")], [link("x", "1", "2"), link("y", "2", "3")]);
    expect([
      wouldCycle(value, "3", "1"),
      wouldCycle(value, "1", "3"),
      wouldCycle(value, "2", "2"),
      wouldCycle(value, INPUTS, "1"),
    ]).toEqual([true, false, true, false]);
  });
});

describe("what nodes show", () => {
  it("follows the type: sockets, widgets, what a seed does next", () => {
    const example = examples.find((one) => one.name === "text_to_image.json")!;
    const value = readEditor(example.workflow, exampleSpecs);
    const sampler = [...value.graphs.get(ROOT)!.nodes.values()].find((one) => one.type === "KSampler")!;
    const shown = shownInputs(value, value.graphs.get(ROOT)!, sampler, exampleSpecs);
    expect(shown.map((one) => one.input.name)).toEqual([
      "model",
      "seed",
      "steps",
      "cfg",
      "sampler_name",
      "scheduler",
      "positive",
      "negative",
      "latent_image",
      "denoise",
    ]);
    expect(shown.filter((one) => one.linked).map((one) => one.input.name)).toEqual([
      "model",
      "positive",
      "negative",
      "latent_image",
    ]);
    expect(shown[1]).toMatchObject({ control: "seed:control", value: sampler.values.seed });
  });

  it("of a subgraph, its widgets inside", () => {
    const specs = readSpecs({
      Test: { input: { required: { a: ["IMAGE"], b: ["IMAGE"], seed: ["INT", { max: 9 }] } }, output: ["IMAGE"] },
    });
    const before = workflow(graph([node("1"), node("2", { values: { seed: 4 } })], [link("x", "1", "2")]));
    const made = toSubgraph(before, ROOT, ["2"], "Part");
    let value = applyCommand(before, made.command).workflow;
    value = applyCommand(
      value,
      promoteInput(value, made.definition, "2", "seed", specs.get("Test")!.inputs[2]!).command,
    ).workflow;
    const root = value.graphs.get(ROOT)!;
    const shown = shownInputs(value, root, root.nodes.get(made.instance)!, specs);
    expect(shown.map((one) => [one.input.name, one.input.widget, one.linked, one.value])).toEqual([
      ["a", false, true, undefined],
      ["seed", true, false, 4],
    ]);
    expect(shown[1]!.input.max).toBe(9);
  });

  it("of an unknown type, its values by place", () => {
    const value = workflow(graph([node("1", { inputs: [], values: { "#0": 1.5, "#1": "text", "#2": { deep: 1 } } })]));
    const root = value.graphs.get(ROOT)!;
    expect(shownInputs(value, root, root.nodes.get("1")!, new Map()).map((one) => [one.input.type, one.value])).toEqual(
      [
        ["FLOAT", 1.5],
        ["STRING", "text"],
        ["JSON", { deep: 1 }],
      ],
    );
  });
});
