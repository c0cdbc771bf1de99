import type { GroupId, LinkId, NodeId } from "../document/types";
import type { Branch } from "./bends";
import type { PortRef } from "./hit";

/** What is being done to the view just now and is nobody else's business: not in the document, not in its history. */
export interface UiState {
  readonly renaming?: NodeId | undefined;
  /** The port of a subgraph's border whose name is edited. */
  readonly renamingPort?: PortRef | undefined;
  /** The link shown as a portal whose name is edited. */
  readonly renamingLink?: LinkId | undefined;
  readonly renamingGroup?: GroupId | undefined;
  /** The node whose widgets the Tab key goes through. */
  readonly entered?: NodeId | undefined;
  /** The port whose list of partners is open. */
  readonly linkingPort?: PortRef | undefined;
  /** The place on a link that the list is open for, rather than for its port. */
  readonly branching?: Branch | undefined;
  /** The nodes on the way of the signal that is traced. */
  readonly traced?: ReadonlySet<NodeId> | undefined;
  readonly announcement: string;
}

export interface Ui {
  readonly state: UiState;
  set(patch: Partial<UiState>): void;
  announce(text: string): void;
  /** Tells those who show whether a port is linked. */
  linksChanged(): void;
  cameraMoved(): void;
  subscribe(listener: () => void): () => void;
  subscribeCamera(listener: () => void): () => void;
}

export function createUi(): Ui {
  const listeners = new Set<() => void>();
  const cameras = new Set<() => void>();
  let state: UiState = { announcement: "" };
  const tell = (): void => listeners.forEach((listener) => listener());
  return {
    get state() {
      return state;
    },
    set(patch) {
      state = { ...state, ...patch };
      tell();
    },
    announce(text) {
      // The same words twice would not be spoken again without a difference.
      state = { ...state, announcement: state.announcement === text ? `${text}\u00a0` : text };
      tell();
    },
    linksChanged: tell,
    cameraMoved() {
      cameras.forEach((listener) => listener());
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    subscribeCamera(listener) {
      cameras.add(listener);
      return () => cameras.delete(listener);
    },
  };
}
