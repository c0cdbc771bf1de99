import { describe, expect, it } from "vitest";
import { layoutNode } from "../../src/canvas/layout";
import { SpecSource } from "../../src/canvas/specs";
import { readApi } from "../../src/document/read/api";
import { createDocument } from "../../src/document/store";
import { ROOT } from "../../src/document/types";
import { examplePrompts, exampleSpecs } from "../document/corpus";

describe("prompts without places", () => {
  it("are laid out so that no node lies on another, as high as they are drawn", () => {
    for (const [name, prompt] of Object.entries(examplePrompts)) {
      const workflow = readApi(prompt, exampleSpecs);
      const source = new SpecSource(createDocument(workflow), exampleSpecs);
      const nodes = [...workflow.graphs.get(ROOT)!.nodes.values()];
      const drawn = nodes.map((node) => {
        const { width, height } = layoutNode(node, source.shown(node, ROOT), source.knows(node));
        return { id: node.id, left: node.x, right: node.x + width, top: node.y, bottom: node.y + height };
      });
      const apart = (a: (typeof drawn)[number], b: (typeof drawn)[number]) =>
        a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
      const over = drawn.flatMap((a, place) => drawn.slice(place + 1).filter((b) => !apart(a, b)).map((b) => `${a.id} ${b.id}`));
      expect(over, name).toEqual([]);
    }
  });
});
