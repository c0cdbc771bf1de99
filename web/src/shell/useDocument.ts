import { useCallback, useRef, useSyncExternalStore } from "react";
import type { Document, GraphId, GraphNode, NodeId } from "../document/types";

/** The document's revision: for what shows the whole of it, such as lists. Nothing on the canvas uses this. */
export function useRevision(document: Document): number {
  const subscribe = useCallback((listener: () => void) => document.subscribe(listener), [document]);
  return useSyncExternalStore(subscribe, () => document.revision);
}

export function useNode(document: Document, graph: GraphId, id: NodeId): GraphNode | undefined {
  const subscribe = useCallback((listener: () => void) => document.subscribeNode(graph, id, listener), [document, graph, id]);
  return useSyncExternalStore(subscribe, () => document.node(graph, id));
}

/** A value computed anew only when the document changes. */
export function useDerived<T>(document: Document, make: () => T): T {
  const revision = useRevision(document);
  const kept = useRef<{ revision: number; document: Document; value: T } | undefined>(undefined);
  if (kept.current?.revision !== revision || kept.current.document !== document) kept.current = { revision, document, value: make() };
  return kept.current.value;
}
