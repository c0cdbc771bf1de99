import type { Document, GraphId, NodeId } from "../document/types";

/** Every node that the given one feeds, itself included. */
export function below(document: Document, graph: GraphId, start: NodeId): Set<NodeId> {
  const found = new Set([start]);
  const open = [start];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const link of document.linksOf(graph, id).out) {
      if (found.has(link.to)) continue;
      found.add(link.to);
      open.push(link.to);
    }
  }
  return found;
}

/** Every node that feeds the given one, itself included. */
export function above(document: Document, graph: GraphId, start: NodeId): Set<NodeId> {
  const found = new Set([start]);
  const open = [start];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const link of document.linksOf(graph, id).in) {
      if (found.has(link.from)) continue;
      found.add(link.from);
      open.push(link.from);
    }
  }
  return found;
}
