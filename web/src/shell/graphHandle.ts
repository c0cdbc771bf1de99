import { Store } from "../client/store";
import type { PortRef } from "../canvas/hit";
import type { NodeId } from "../document/types";

/** What can be asked of the graph on screen. */
export interface GraphHandle {
  /** Show the whole graph, or some nodes. */
  fit(ids?: Iterable<NodeId>): void;
  zoomBy(factor: number): void;
  centreOn(node: NodeId): void;
  /** Begin to edit a node's title. */
  rename(node: NodeId): void;
  /** A port of a subgraph's border: called otherwise, moved by places, taken away. */
  renamePort(port: PortRef): void;
  shiftPort(port: PortRef, by: number): void;
  removePort(port: PortRef): void;
  /** Put the keyboard on the graph. */
  focus(): void;
  /** A point of the screen in graph units. */
  toGraph(x: number, y: number): { readonly x: number; readonly y: number };
}
export const graphHandle = new Store<GraphHandle | undefined>(undefined);
