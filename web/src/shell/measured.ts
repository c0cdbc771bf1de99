/** How high nodes are on the screen: what is tidied must not overlap there. */
import { layoutNode } from "../canvas/layout";
import { SpecSource } from "../canvas/specs";
import type { Graph, GraphNode, NodeId } from "../document/types";
import { specs, type Tab } from "./workspace";

const PICTURE_ROOM = 220;

/** The graph with the height of every node as it is shown; only for working out places, never put into a document. */
export function measured(tab: Tab, graph: Graph): Graph {
  const source = new SpecSource(tab.document, specs.get() ?? new Map());
  const run = tab.run.view(tab.place.get().nodes.map((node) => `${node.id}:`).join(""));
  const nodes = new Map<NodeId, GraphNode>();
  for (const node of graph.nodes.values()) {
    const own = layoutNode(node, source.shown(node, graph.id), source.knows(node)).height;
    const pictures = (run.node(node.id)?.images?.length ?? 0) > 0 && node.collapsed !== true ? PICTURE_ROOM : 0;
    nodes.set(node.id, { ...node, height: own + pictures });
  }
  return { ...graph, nodes };
}
