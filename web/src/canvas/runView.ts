import type { NodeId } from "../document/types";

export type NodeStatus = "queued" | "running" | "done" | "cached" | "failed" | "blocked";

/** A picture or a film that a node made, already as an address that the page may load. */
export interface ResultImage {
  readonly url: string;
  readonly name: string;
  /** A smaller version for the node, where the server makes one; the node shows `url` without it. */
  readonly small?: string;
  /** True for what is played rather than shown. */
  readonly film?: boolean;
  /** A version that does not move, of a picture that may. */
  readonly still?: string;
  readonly width?: number;
  readonly height?: number;
}

/** A problem of one node, told in the node. */
export interface NodeProblem {
  readonly message: string;
  readonly hint?: string;
  /** The input it is about, where there is one. */
  readonly input?: string;
  /** Text of the button that repairs it; pressing it calls `onFix(node, problem)`. */
  readonly fix?: string;
}

/** What is known of one node's run. Immutable: another object means that something changed. */
export interface NodeRun {
  readonly status?: NodeStatus;
  /** 0..1 while running. */
  readonly progress?: number;
  readonly seconds?: number;
  readonly bytes?: number;
  /** Where a cached result came from, e.g. "memory" or "disk". */
  readonly tier?: string;
  /** Live picture of a running sampler. */
  readonly preview?: Blob | string;
  /** The preview decoded. It may be closed once there is another: whoever shows it draws it at once. */
  readonly frame?: ImageBitmap;
  readonly images?: readonly ResultImage[];
  readonly texts?: readonly string[];
  readonly problems?: readonly NodeProblem[];
  /** True when the next run computes this node again. */
  readonly willRerun?: boolean;
}

/** Where the run state of the graph on screen comes from. */
export interface RunView {
  node(id: NodeId): NodeRun | undefined;
  subscribeNode(id: NodeId, listener: () => void): () => void;
  /** Called with the nodes whose state changed. */
  subscribe(listener: (changed: Iterable<NodeId>) => void): () => void;
}

/** A run state that never says anything, for a graph that is only looked at. */
export const NO_RUN: RunView = {
  node: () => undefined,
  subscribeNode: () => () => undefined,
  subscribe: () => () => undefined,
};
