import { describe, expect, it } from "vitest";
import { exactNumbers, exactText } from "../../src/document/exact";
import { layout } from "../../src/document/layout";
import { nativeText } from "../../src/document/nativeForm";
import { openText, readWorkflow, saveText } from "../../src/document/open";
import { toPrompt } from "../../src/document/prompt";
import { readEditor } from "../../src/document/read/editor";
import { readNative } from "../../src/document/read/native";
import { ROOT } from "../../src/document/types";
import { writeNative } from "../../src/document/write/native";
import { examples, pairs, specs } from "./corpus";
import { large } from "./samples";
import { fastest, growth, LINEAR } from "./timing";

function plainPrompt(prompt: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(prompt).map(([id, { _meta, ...rest }]: [string, { _meta?: unknown }]) => [id, rest]),
  );
}

describe.each([...examples, ...pairs])("$name", ({ workflow }) => {
  it("makes the same prompt from the native form", () => {
    const before = readEditor(workflow, specs);
    const after = readNative(JSON.parse(nativeText(writeNative(before))), specs);
    expect(plainPrompt(toPrompt(after, specs))).toEqual(plainPrompt(toPrompt(before, specs)));
  });

  it("is written in the native form as it was read", () => {
    const text = nativeText(writeNative(readEditor(workflow, specs)));
    expect(nativeText(writeNative(readNative(JSON.parse(text), specs)))).toBe(text);
  });

  it("goes from the native form to the ecosystem's with the same prompt", () => {
    const before = readNative(JSON.parse(nativeText(writeNative(readEditor(workflow, specs)))), specs);
    const after = openText(saveText(before, specs, "0.4"), specs);
    expect(plainPrompt(toPrompt(after, specs))).toEqual(plainPrompt(toPrompt(before, specs)));
  });
});

describe.each(pairs)("the prompt of $name", ({ api }) => {
  it("opens, laid out, and is sent as it was", () => {
    const workflow = readWorkflow(api!, specs);
    expect(plainPrompt(toPrompt(workflow, specs))).toEqual(plainPrompt(api!));
    expect(JSON.parse(saveText(workflow, specs))).toEqual(api);
    const boxes = [...workflow.graphs.get(ROOT)!.nodes.values()].map((node) => `${node.x} ${node.y}`);
    expect(new Set(boxes).size).toBe(boxes.length);
  });
});

describe("native documents", () => {
  it("keep keys that nobody knows", () => {
    const data = {
      safelight: 1,
      nodes: {
        "1": { type: "X", inputs: { a: 1 }, slots: { in: [], out: [{ name: "o", type: "*", later: 1 }] }, later: [1] },
      },
      view: {
        nodes: { "1": { x: 1, y: 2, w: 3, later: true } },
        groups: { "1": { title: "g", x: 0, y: 0, w: 1, h: 1, members: [], later: 2 } },
        later: 3,
      },
      later: { deep: [null] },
    };
    expect(writeNative(readNative(data, specs))).toEqual(data);
  });

  it("have one node a line, and keys in order", () => {
    const text = nativeText(writeNative(large(12)));
    const lines = text.split("\n").filter((line) => line.includes('"type":"Test"'));
    expect(lines.map((line) => line.split('"')[1])).toEqual(
      Array.from({ length: 12 }, (_, place) => String(place + 1)),
    );
  });

  it("of a newer version are refused", () => {
    expect(() => readWorkflow({ safelight: 2, nodes: {} }, specs)).toThrow("version 2");
  });
});

describe("numbers that are too large for JavaScript", () => {
  const text =
    '{"1": {"class_type": "A", "inputs": {"seed": 18446744073709551615, "other": 12345678901234567890, "t": "9007199254740993"}}}';

  it("are saved and sent as they came", () => {
    const workflow = openText(text, specs);
    expect(exactText(workflow, toPrompt(workflow, specs))).toContain('"seed":18446744073709551615');
    for (const form of ["native", "0.4", "api"] as const) {
      const saved = saveText(workflow, specs, form);
      expect(saved).toContain("18446744073709551615");
      expect(saved).toContain("12345678901234567890");
      expect(saveText(openText(saved, specs), specs)).toBe(saved);
    }
  });

  it("are left alone where two have the same nearest one", () => {
    expect(exactNumbers("[9007199254740993, 9007199254740992, 5]")).toBeUndefined();
    expect(exactNumbers("[9007199254740993, 9007199254740993]")).toEqual({ "9007199254740992": "9007199254740993" });
  });
});

describe("text that is no workflow", () => {
  it("is refused with line and column", () => {
    expect(() => openText('{\n  "nodes": [,\n}', specs)).toThrow(
      expect.objectContaining({ place: { line: 2, column: 13 } }),
    );
    expect(() => openText("{}", specs)).toThrow("no workflow");
    expect(() => openText("", specs)).toThrow("empty");
  });

  it("is read with the numbers that Python writes", () => {
    expect(
      [
        ...openText('{"1": {"class_type": "NaN", "inputs": {"a": NaN, "b": [-Infinity]}}}', specs)
          .graphs.get(ROOT)!
          .nodes.values(),
      ][0],
    ).toMatchObject({
      type: "NaN",
      values: { a: null },
    });
  });
});

it("a thousand nodes are laid out in little time, links from left to right", () => {
  const drawn = (count: number) => {
    const graph = large(count).graphs.get(ROOT)!;
    return () => layout(graph);
  };
  expect(fastest(300, drawn(1000))).toBeLessThan(300);
  expect(growth(1000, drawn)).toBeLessThan(LINEAR);
  const graph = large(1000).graphs.get(ROOT)!;
  const placed = new Map(layout(graph).map((one) => [one.id, one]));
  for (const link of graph.links.values()) expect(placed.get(link.from)!.x).toBeLessThan(placed.get(link.to)!.x);
});
