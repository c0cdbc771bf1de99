import type { GroupId, LinkId, NodeId } from "../document/types";

export interface Selected {
  readonly nodes: ReadonlySet<NodeId>;
  readonly links: ReadonlySet<LinkId>;
  readonly groups: ReadonlySet<GroupId>;
}

export const NOTHING: Selected = { nodes: new Set(), links: new Set(), groups: new Set() };

/** What is selected and which node the keyboard is at; not part of the document, so not of its history either. */
export interface Selection {
  readonly current: Selected;
  /** The node that arrow keys start from. */
  readonly focused: NodeId | undefined;
  set(selected: Partial<Selected>): void;
  toggleNode(id: NodeId): void;
  focus(id: NodeId | undefined): void;
  subscribe(listener: () => void): () => void;
}

export function createSelection(): Selection {
  const listeners = new Set<() => void>();
  let current = NOTHING;
  let focused: NodeId | undefined;
  const tell = (): void => listeners.forEach((listener) => listener());
  return {
    get current() {
      return current;
    },
    get focused() {
      return focused;
    },
    set(selected) {
      current = { ...NOTHING, ...selected };
      tell();
    },
    toggleNode(id) {
      const nodes = new Set(current.nodes);
      if (!nodes.delete(id)) nodes.add(id);
      current = { ...current, nodes };
      tell();
    },
    focus(id) {
      if (focused === id) return;
      focused = id;
      tell();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
