import type { Way } from "../document/operations/bends";
import type { GraphId, NodeId, Slot } from "../document/types";
import type { Point } from "./camera";
import type { PortRef, Target } from "./hit";
import type { NodeProblem } from "./runView";

/** A link that was let go over nothing. */
export interface LinkEnd {
  readonly port: PortRef;
  /** What the port stands for, or would once it is linked. */
  readonly slot: Slot | undefined;
  /** How the link gets to where it was let go. */
  readonly way?: Way | undefined;
  /** True where a short menu is asked for in place of the search. */
  readonly menu?: boolean;
}

/** What the canvas asks its surroundings to do. Positions come in graph units and in client pixels. */
export interface Actions {
  readonly readOnly: boolean;
  readonly snapToGrid: boolean;
  /** The hand tool: every drag pans. */
  readonly hand: boolean;
  onOpenSearch(position: Point, client: Point, from?: LinkEnd): void;
  onOpenSubgraph(id: GraphId, node: NodeId): void;
  onContextMenu(target: Target, position: Point, client: Point): void;
  onOpenImage(node: NodeId, index: number): void;
  onFix(node: NodeId, problem: NodeProblem): void;
  /** Makes copies for an alt-drag and gives their ids; without it the canvas copies nodes itself. */
  readonly onClone?: ((ids: readonly NodeId[]) => readonly NodeId[]) | undefined;
}
