import { Store } from "../client/store";
import type { PortRef, Target } from "../canvas/hit";
import type { GroupId, LinkId, NodeId } from "../document/types";

/** What can be asked of the graph on screen. */
export interface GraphHandle {
  /** Show the whole graph, or some nodes. */
  fit(ids?: Iterable<NodeId>): void;
  zoomBy(factor: number): void;
  centreOn(node: NodeId): void;
  /** Begin to edit a node's title. */
  rename(node: NodeId): void;
  /** Let all step back that the signal of the selected node does not pass, or bring it back. */
  toggleTrace(): void;
  /** The middle of the view and its zoom, and the way back to such a place. */
  where(): { readonly x: number; readonly y: number; readonly zoom: number };
  goTo(at: { readonly x: number; readonly y: number }, zoom: number): void;
  /** List what a new link from a place on another may go to. */
  branch(target: Target, at: { readonly x: number; readonly y: number }): void;
  /** Begin to edit the name of a link shown as a portal, or of a group. */
  namePortal(link: LinkId): void;
  renameGroup(group: GroupId): void;
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

/** Where the pointer is over the graph, on the screen; undefined elsewhere. */
export const pointer: { at: { readonly x: number; readonly y: number } | undefined } = { at: undefined };
