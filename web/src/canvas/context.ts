import { createContext, use, useCallback, useRef, useSyncExternalStore } from "react";
import type { GraphNode, NodeId } from "../document/types";
import type { WidgetServices } from "../widgets/services";
import type { Actions } from "./actions";
import type { NodeRun } from "./runView";
import type { Stage } from "./stage";
import type { UiState } from "./ui";

export interface View {
  readonly stage: Stage;
  /** Always the newest callbacks, without drawing anything again when they change. */
  readonly actions: () => Actions;
  readonly services: WidgetServices;
}

export const ViewContext = createContext<View | undefined>(undefined);

export function useView(): View {
  const view = use(ViewContext);
  if (view === undefined) throw new Error("a part of the canvas is drawn outside of GraphView");
  return view;
}

/** A node's record; the same object as before when only its place changed, since places are written past React. */
export function useNode(id: NodeId): GraphNode | undefined {
  const { stage } = useView();
  const last = useRef<GraphNode | undefined>(undefined);
  const subscribe = useCallback((listener: () => void) => stage.document.subscribeNode(stage.graphId, id, listener), [stage, id]);
  const get = useCallback(() => {
    const node = stage.document.node(stage.graphId, id) ?? stage.scene.records[stage.scene.index.get(id) ?? -1];
    const old = last.current;
    if (old === undefined || node === undefined || !sameButPlace(old, node)) last.current = node;
    return last.current;
  }, [stage, id]);
  return useSyncExternalStore(subscribe, get);
}

function sameButPlace(a: GraphNode, b: GraphNode): boolean {
  return (
    a === b ||
    (a.values === b.values && a.inputs === b.inputs && a.outputs === b.outputs && a.type === b.type && a.mode === b.mode && a.title === b.title &&
      a.width === b.width && a.height === b.height && a.collapsed === b.collapsed && a.pinned === b.pinned && a.color === b.color && a.extra === b.extra)
  );
}

export function useRun(id: NodeId): NodeRun | undefined {
  const { stage } = useView();
  const subscribe = useCallback((listener: () => void) => stage.run.subscribeNode(id, listener), [stage, id]);
  return useSyncExternalStore(subscribe, () => stage.run.node(id));
}

/** One piece of the view's passing state. */
export function useUi<T>(pick: (state: UiState) => T): T {
  const { stage } = useView();
  return useSyncExternalStore(stage.ui.subscribe, () => pick(stage.ui.state));
}

/** Which inputs and outputs of a node are linked, as one string: a new one only when that changes. */
export function useLinked(id: NodeId): string {
  const { stage } = useView();
  return useSyncExternalStore(stage.ui.subscribe, () => {
    if (!stage.document.workflow.graphs.has(stage.graphId)) return "";
    const { in: into, out } = stage.document.linksOf(stage.graphId, id);
    return `${into.map((link) => `i${link.input};`).join("")}${out.map((link) => `o${link.output};`).join("")}`;
  });
}

/** Draws again when the scene was read anew, e.g. because a subgraph's definition changed. */
export function useGeneration(): number {
  const { stage } = useView();
  return useSyncExternalStore(stage.ui.subscribe, () => stage.scene.generation);
}

export function useSelected(id: NodeId): number {
  const { stage } = useView();
  return useSyncExternalStore(stage.selection.subscribe, () => (stage.selection.current.nodes.has(id) ? 1 : 0) + (stage.selection.focused === id ? 2 : 0));
}
