import type { Way } from "../document/operations/bends";
import type { GraphId, NodeId, Slot } from "../document/types";
import type { Point } from "./camera";
import type { PortRef, Target } from "./hit";
import type { NodeProblem } from "./runView";

/** What the canvas asks its surroundings to do. Positions come in graph units and in client pixels. */
export interface Actions {
  readonly readOnly: boolean;
  readonly snapToGrid: boolean;
  /** The hand tool: every drag pans. */
  readonly hand: boolean;
  /** `slot` is what the port stands for, or would once it is linked; `way` how the link gets to where it was let go. */
  onOpenSearch(position: Point, client: Point, fromPort?: PortRef, slot?: Slot, way?: Way): void;
  onOpenSubgraph(id: GraphId, node: NodeId): void;
  onContextMenu(target: Target, position: Point, client: Point): void;
  onOpenImage(node: NodeId, index: number): void;
  onFix(node: NodeId, problem: NodeProblem): void;
  /** Makes copies for an alt-drag and gives their ids; without it the canvas copies nodes itself. */
  readonly onClone?: ((ids: readonly NodeId[]) => readonly NodeId[]) | undefined;
}
