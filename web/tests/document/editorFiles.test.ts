import { describe, expect, it } from "vitest";
import { createDocument } from "../../src/document/store";
import { listOf, objectOf } from "../../src/document/json";
import { readEditor } from "../../src/document/read/editor";
import { ROOT, type Json, type JsonObject } from "../../src/document/types";
import { writeEditor } from "../../src/document/write/editor";
import { examples, pairs, specs } from "./corpus";

/** The same workflow in schema 1: links as objects, a state instead of counters. */
function schema1(workflow: JsonObject): JsonObject {
  const { last_node_id, last_link_id, ...rest } = workflow;
  return {
    ...rest,
    version: 1,
    state: { lastGroupId: 0, lastNodeId: last_node_id!, lastLinkId: last_link_id!, lastRerouteId: 0 },
    links: listOf(workflow.links).map((link) => {
      const [id, origin_id, origin_slot, target_id, target_slot, type] = link as Json[];
      return {
        id: id!,
        origin_id: origin_id!,
        origin_slot: origin_slot!,
        target_id: target_id!,
        target_slot: target_slot!,
        type: type!,
      };
    }),
  };
}

function without(value: Json, key: string): Json {
  return Object.fromEntries(Object.entries(objectOf(value)).filter(([name]) => name !== key));
}

const samples = [...examples, ...pairs];

describe.each(samples)("$name", ({ workflow }) => {
  it("is written as it was read", () => {
    expect(writeEditor(readEditor(workflow, specs), specs)).toEqual(workflow);
    expect(JSON.stringify(writeEditor(readEditor(workflow, specs), specs))).toBe(JSON.stringify(workflow));
  });

  it("is written as it was read without knowing a node type", () => {
    expect(writeEditor(readEditor(workflow, new Map()), new Map())).toEqual(workflow);
  });

  it("is written as it was read in schema 1", () => {
    const newer = schema1(workflow);
    expect(writeEditor(readEditor(newer, specs), specs)).toEqual(newer);
  });

  it("differs in what was edited alone", () => {
    const document = createDocument(readEditor(workflow, specs));
    const node = [...document.graph(ROOT).nodes.values()][0]!;
    document.apply({ do: "moveNodes", graph: ROOT, to: [{ id: node.id, x: 12.5, y: -30 }] }, "Move");
    // A node that leaves the box of its group stays its member, which then has to be written down.
    const groups = listOf(writeEditor(document.workflow, specs).groups).map((group) => without(group, "members"));
    const written = { ...writeEditor(document.workflow, specs), groups };
    const expected = structuredClone(workflow) as { nodes: { pos: Json }[] };
    expected.nodes[0]!.pos = [12.5, node.type === "Reroute" ? -30 : 0];
    expect(written).toEqual(expected);
  });
});
