/** Workflows for property tests. */
import fc from "fast-check";
import type { GraphNode, Link, Workflow } from "../../src/document/types";
import { graph, link, node, workflow } from "./samples";

/** Acyclic graphs of running, muted and bypassed nodes, reroutes and primitives. */
export const anyGraph: fc.Arbitrary<Workflow> = fc
  .array(
    fc.record({
      kind: fc.constantFrom("Test", "Test", "Test", "Reroute", "PrimitiveNode"),
      mode: fc.constantFrom("always", "always", "mute", "bypass"),
      from: fc.tuple(fc.nat(20), fc.nat(20)),
    }),
    { minLength: 2, maxLength: 14 },
  )
  .map((rows) => {
    const nodes: GraphNode[] = [];
    const links: Link[] = [];
    for (const [place, row] of rows.entries()) {
      const id = String(place + 1);
      const shape: Partial<GraphNode> =
        row.kind === "Reroute"
          ? { inputs: [{ name: "", type: "*" }] }
          : row.kind === "PrimitiveNode"
            ? { inputs: [], values: { value: place } }
            : {
                inputs: [
                  { name: "a", type: "IMAGE" },
                  { name: "b", type: "IMAGE", widget: "b" },
                ],
                values: { b: place, c: "x" },
                mode: row.mode as GraphNode["mode"],
              };
      nodes.push(node(id, { type: row.kind, x: place * 10, ...shape }));
      for (const [input, from] of row.from.entries()) {
        if (from > 0 && from <= place && input < nodes[place]!.inputs.length)
          links.push(link(`${id}${input}`, String(from), id, input));
      }
    }
    return workflow(graph(nodes, links));
  });
