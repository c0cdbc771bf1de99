/** The owner of one open workflow: applies commands, keeps the history, tells the views what changed. */
import { linkIndex } from "./adjacency";
import { applyCommand, CommandError } from "./commands";
import { append, continued, stepOf, type Piece } from "./history";
import type { Change, Command, Document, Graph, GraphId, GraphNode, HistoryStep, NodeId, Workflow } from "./types";

export function createDocument(workflow: Workflow): Document {
  return new Store(workflow);
}

class Store implements Document {
  private steps: HistoryStep[] = [];
  private open: { label: string; depth: number; pieces: Piece[] } | undefined;
  /** Whether the last step may still grow by typing: not after undo, redo or a finished gesture. */
  private typing = false;
  private readonly listeners = new Set<(change: Change) => void>();
  private readonly nodeListeners = new Map<string, Set<() => void>>();

  workflow: Workflow;
  revision = 0;
  position = 0;

  constructor(workflow: Workflow) {
    this.workflow = workflow;
  }

  get history(): readonly HistoryStep[] {
    return this.steps;
  }

  graph(id: GraphId): Graph {
    const graph = this.workflow.graphs.get(id);
    if (graph === undefined) throw new CommandError(`there is no graph ${id}`);
    return graph;
  }

  node(graph: GraphId, id: NodeId): GraphNode | undefined {
    return this.workflow.graphs.get(graph)?.nodes.get(id);
  }

  linksOf(graph: GraphId, id: NodeId) {
    return linkIndex(this.graph(graph).links).of(id);
  }

  apply(command: Command, label: string): void {
    const before = this.revision;
    const piece = this.perform(command);
    if (this.revision === before) return;
    if (this.open !== undefined) append(this.open.pieces, piece);
    else this.record(piece, label);
    this.notify();
  }

  begin(label: string): void {
    if (this.open === undefined) this.open = { label, depth: 1, pieces: [] };
    else this.open.depth += 1;
  }

  commit(): void {
    if (this.open === undefined || --this.open.depth > 0) return;
    const { label, pieces } = this.open;
    this.open = undefined;
    this.typing = false;
    if (pieces.length === 0) return;
    this.push(stepOf(label, pieces, Date.now()));
  }

  cancel(): void {
    const pieces = this.open?.pieces ?? [];
    this.open = undefined;
    for (const piece of pieces.toReversed()) this.perform(piece.inverse);
    this.notify();
  }

  undo(): HistoryStep | undefined {
    this.finishGesture();
    const step = this.steps[this.position - 1];
    if (step === undefined) return undefined;
    this.position -= 1;
    this.perform(step.inverse);
    this.notify();
    return step;
  }

  redo(): HistoryStep | undefined {
    this.finishGesture();
    const step = this.steps[this.position];
    if (step === undefined) return undefined;
    this.position += 1;
    this.perform(step.forward);
    this.notify();
    return step;
  }

  goTo(position: number): void {
    this.finishGesture();
    const goal = Math.min(Math.max(Math.trunc(position), 0), this.steps.length);
    while (this.position > goal) this.undo();
    while (this.position < goal) this.redo();
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  subscribeNode(graph: GraphId, id: NodeId, listener: () => void): () => void {
    const key = nodeKey(graph, id);
    let found = this.nodeListeners.get(key);
    if (found === undefined) this.nodeListeners.set(key, (found = new Set()));
    found.add(listener);
    return () => {
      found.delete(listener);
      if (found.size === 0 && this.nodeListeners.get(key) === found) this.nodeListeners.delete(key);
    };
  }

  private pending: Change[] = [];

  private perform(command: Command): Piece {
    const { workflow, inverse, changes } = applyCommand(this.workflow, command);
    if (changes.length > 0) {
      this.workflow = workflow;
      this.revision += 1;
      this.pending.push(...changes);
    }
    return { forward: command, inverse };
  }

  /** Tells everybody once the history is in order too, so that a listener may read all of it. */
  private notify(): void {
    const changes = this.pending;
    this.pending = [];
    for (const change of changes) {
      for (const id of change.nodes)
        this.nodeListeners.get(nodeKey(change.graph, id))?.forEach((listener) => listener());
      for (const listener of this.listeners) listener(change);
    }
  }

  private record(piece: Piece, label: string): void {
    const now = Date.now();
    const last = this.typing && this.position === this.steps.length ? this.steps[this.position - 1] : undefined;
    const grown = continued(last, piece, label, now);
    if (grown !== undefined) {
      this.steps = [...this.steps.slice(0, -1), grown];
      return;
    }
    this.push(stepOf(label, [piece], now));
    this.typing = true;
  }

  private push(step: HistoryStep): void {
    this.steps = [...this.steps.slice(0, this.position), step];
    this.position = this.steps.length;
  }

  private finishGesture(): void {
    if (this.open !== undefined) this.open.depth = 1;
    this.commit();
    this.typing = false;
  }
}

function nodeKey(graph: GraphId, id: NodeId): string {
  return `${graph}\n${id}`;
}
