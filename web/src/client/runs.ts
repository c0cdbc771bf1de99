import type { NodeProblem, NodeRun, NodeStatus, ResultImage, RunView } from "../canvas/runView";
import type { NodeId } from "../document/types";
import type { NodeErrors } from "./http";
import { plays, type ShownFile, viewAddress } from "./queue";
import type { Preview, Told } from "./socket";
import { Store } from "./store";

/** What the server says that a node took. */
export interface NodeCost {
  readonly seconds?: number;
  readonly tier?: string;
  readonly peak_bytes?: number;
}
export type RunPhase = "idle" | "queued" | "running" | "done" | "failed" | "cancelled";
export interface RunSummary {
  readonly phase: RunPhase;
  readonly promptId: string | undefined;
  /** 0..1 over all nodes of the job. */
  readonly progress: number;
  readonly node: NodeId | undefined;
  readonly message: string;
  readonly began: number;
  readonly ended: number;
}
const IDLE: RunSummary = { phase: "idle", promptId: undefined, progress: 0, node: undefined, message: "", began: 0, ended: 0 };

interface ProgressEntry extends NodeCost {
  readonly value: number;
  readonly max: number;
  readonly state: string;
  readonly display_node_id: string;
}

/** What is known of the runs of one document. Ids are those of the API prompt: `12:5` is node 5 in the subgraph node 12. */
export class RunState {
  readonly summary = new Store<RunSummary>(IDLE);
  readonly latest = new Store<readonly (ResultImage & { readonly node: NodeId })[]>([]);
  readonly #nodes = new Map<NodeId, NodeRun>();
  readonly #nodeListeners = new Map<NodeId, Set<() => void>>();
  readonly #listeners = new Set<(changed: Iterable<NodeId>) => void>();
  readonly #began = new Map<NodeId, number>();
  /** Problems that the last run told, and those that are seen while editing. */
  readonly #told = new Map<NodeId, readonly NodeProblem[]>();
  #seen: ReadonlyMap<NodeId, readonly NodeProblem[]> = new Map();
  /** Signatures of everything that was computed, and those of jobs that are still to be. */
  readonly done = new Set<string>();
  readonly #pending = new Map<string, Iterable<string>>();
  #jobs = new Set<string>();
  #all: readonly NodeId[] = [];

  has(promptId: string): boolean {
    return this.#jobs.has(promptId);
  }

  get hasRun(): boolean {
    return this.done.size > 0;
  }

  /** A job of this document was accepted. `signatures` tell what its nodes compute. */
  queued(promptId: string, nodes: readonly NodeId[], errors: NodeErrors, signatures: Iterable<string> = []): void {
    this.#jobs.add(promptId);
    this.#pending.set(promptId, signatures);
    this.#all = nodes;
    const busy = this.summary.get().phase === "running";
    if (!busy) {
      this.#change(nodes, (run) => ({ ...without(run), status: "queued" }));
      this.summary.set({ ...IDLE, phase: "queued", promptId });
    }
    this.problems(errors);
  }

  /** A job of before the page was loaded anew. */
  recall(promptId: string, nodes: readonly NodeId[]): void {
    this.#jobs.add(promptId);
    this.#all = nodes;
  }

  problems(errors: NodeErrors): void {
    for (const [id, entry] of Object.entries(errors)) {
      const problems: NodeProblem[] = entry.errors.map((error) => ({
        message: error.details ? `${error.message}: ${error.details}` : error.message,
        ...(error.extra_info?.input_name === undefined ? {} : { input: error.extra_info.input_name }),
        ...(error.extra_info?.hint === undefined ? {} : { hint: String(error.extra_info.hint) }),
      }));
      this.#told.set(id, problems);
      this.#change([id], (run) => ({ ...without(run), status: "failed" }));
    }
  }

  clearProblems(): void {
    const found = [...this.#told.keys()];
    this.#told.clear();
    this.#change(found, (run) => without(run));
  }

  /** Problems that are seen without a run, in place of those seen before. */
  check(problems: ReadonlyMap<NodeId, readonly NodeProblem[]>): void {
    const ids = new Set([...this.#seen.keys(), ...problems.keys()]);
    const changed = [...ids].filter((id) => JSON.stringify(this.#seen.get(id)) !== JSON.stringify(problems.get(id)));
    this.#seen = problems;
    this.#change(changed, (run) => run);
  }

  /** Say which nodes the next run computes anew. */
  mark(inner: ReadonlySet<NodeId>): void {
    const rerun = new Set([...inner].flatMap(ids));
    const changed = [...new Set([...this.#nodes.keys(), ...rerun])];
    this.#change(
      changed.filter((id) => (this.#nodes.get(id)?.willRerun ?? false) !== rerun.has(id)),
      (run, id) => ({ ...run, willRerun: rerun.has(id) }),
    );
  }

  hear(told: Told): void {
    const { data } = told;
    if (typeof data.prompt_id !== "string" || !this.#jobs.has(data.prompt_id)) return;
    const promptId = data.prompt_id;
    switch (told.type) {
      case "execution_start":
        this.#began.clear();
        this.#told.clear();
        this.#change(this.#all, (run) => ({ ...without(run), status: "queued" }));
        this.summary.set({ ...IDLE, phase: "running", promptId, began: Date.now() });
        return;
      case "execution_cached":
        this.#change(data.nodes as string[], (run) => ({ ...without(run), status: "cached", seconds: 0, willRerun: false }));
        return;
      case "executing":
        if (typeof data.node === "string") this.#executing(data.node, promptId);
        return;
      case "progress_state":
        this.#progress(data.nodes as Record<string, ProgressEntry>, promptId);
        return;
      case "progress":
        this.#step(String(data.node), Number(data.value) / Math.max(1, Number(data.max)));
        return;
      case "executed":
        this.#executed(String(data.node), data.output as Record<string, unknown>);
        return;
      case "execution_success":
        for (const signature of this.#pending.get(promptId) ?? []) this.done.add(signature);
        this.#pending.delete(promptId);
        this.#end("done", "");
        return;
      case "execution_interrupted":
        this.#end("cancelled", "");
        return;
      case "execution_error":
        this.#failed(data);
    }
  }

  see(preview: Preview): void {
    if (!this.#jobs.has(preview.promptId)) return;
    const { picture, frame } = preview;
    this.#change(ids(preview.nodeId), ({ frame: _f, ...run }) => ({ ...run, preview: picture, ...(frame === undefined ? {} : { frame }) }));
  }

  node(id: NodeId): NodeRun | undefined {
    return this.#nodes.get(id);
  }

  /** The run of the nodes of one graph: `prefix` is "" or the ids of the subgraph nodes above it, each with a colon. */
  view(prefix: string): RunView {
    return {
      node: (id) => this.#nodes.get(prefix + id),
      subscribeNode: (id, listener) => this.#subscribeNode(prefix + id, listener),
      subscribe: (listener) => {
        const inner = (changed: Iterable<NodeId>) =>
          listener([...changed].filter((id) => id.startsWith(prefix)).map((id) => id.slice(prefix.length)));
        this.#listeners.add(inner);
        return () => this.#listeners.delete(inner);
      },
    };
  }

  #subscribeNode(id: NodeId, listener: () => void): () => void {
    const found = this.#nodeListeners.get(id) ?? new Set();
    this.#nodeListeners.set(id, found.add(listener));
    return () => found.delete(listener);
  }

  #executing(node: NodeId, promptId: string): void {
    this.#began.set(node, performance.now());
    this.#change(ids(node), (run) => ({ ...without(run), status: "running", progress: 0, willRerun: false }));
    this.summary.update((before) => ({ ...before, phase: "running", promptId, node, began: before.began || Date.now() }));
  }

  #progress(nodes: Record<string, ProgressEntry>, promptId: string): void {
    let sum = 0;
    for (const [id, entry] of Object.entries(nodes)) {
      const part = entry.value / Math.max(1, entry.max);
      sum += entry.state === "finished" ? 1 : part;
      const before = this.#nodes.get(id);
      if (entry.state === "finished" && before?.status === "running") this.#finish(id, entry);
      else if (entry.state === "running" && before?.progress !== part) this.#step(id, part);
    }
    const progress = Math.min(1, sum / Math.max(1, this.#all.length));
    this.summary.update((before) => ({ ...before, phase: "running", promptId, progress }));
  }

  #step(id: NodeId, progress: number): void {
    this.#change(ids(id), (run) => ({ ...run, status: "running", progress }));
  }

  #finish(id: NodeId, told: Partial<NodeCost> = {}): void {
    const began = this.#began.get(id);
    const seconds = told.seconds ?? (began === undefined ? undefined : (performance.now() - began) / 1000);
    const cost = { ...(seconds === undefined ? {} : { seconds }), ...(told.peak_bytes === undefined ? {} : { bytes: told.peak_bytes }), ...(told.tier === undefined ? {} : { tier: told.tier }) };
    this.#change(ids(id), (run) => ({ ...without(run), status: "done", ...cost }));
  }

  /** What a job that ended says of its nodes: seconds, memory, and where a kept result came from. */
  costs(nodes: Readonly<Record<NodeId, NodeCost>>): void {
    for (const [id, cost] of Object.entries(nodes)) {
      this.#change([id], (run) => ({
        ...run,
        ...(cost.seconds === undefined || run.status === "cached" ? {} : { seconds: cost.seconds }),
        ...(cost.peak_bytes === undefined ? {} : { bytes: cost.peak_bytes }),
        ...(cost.tier === undefined ? {} : { tier: cost.tier }),
      }));
    }
  }

  #executed(id: NodeId, output: Record<string, unknown>): void {
    // Packs name films in their own ways.
    const images = ["images", "gifs", "video", "videos"]
      .flatMap((key) => (Array.isArray(output[key]) ? (output[key] as ShownFile[]) : []))
      .filter((file) => typeof file?.filename === "string")
      .map(resultOf);
    const texts = ["text", "string"].flatMap((key) => (Array.isArray(output[key]) ? (output[key] as unknown[]) : [])).map(String);
    this.#change(ids(id), (run) => ({
      ...run,
      ...(images.length > 0 ? { images } : {}),
      ...(texts.length > 0 ? { texts } : {}),
    }));
    if (images.length > 0) this.latest.set(images.map((one) => ({ ...one, node: id })));
  }

  #failed(data: Readonly<Record<string, unknown>>): void {
    const message = String(data.exception_message ?? "");
    if (typeof data.node_id === "string") {
      const problem: NodeProblem = { message, ...(typeof data.hint === "string" ? { hint: data.hint } : {}) };
      for (const id of ids(data.node_id)) this.#told.set(id, [problem]);
      this.#change(ids(data.node_id), (run) => ({ ...without(run), status: "failed" }));
    }
    this.#end("failed", message);
  }

  #end(phase: RunPhase, message: string): void {
    const open = [...this.#nodes].filter(([, run]) => run.status === "running" || run.status === "queued");
    for (const [id, run] of open) {
      if (phase === "done" && run.status === "running") this.#finish(id);
      else this.#change([id], (one) => without(one));
    }
    this.summary.update((before) => ({ ...before, phase, message, node: undefined, progress: phase === "done" ? 1 : before.progress, ended: Date.now() }));
  }

  #change(nodes: Iterable<NodeId>, make: (run: NodeRun, id: NodeId) => NodeRun): void {
    const changed = [...nodes];
    if (changed.length === 0) return;
    const frames = new Set<ImageBitmap>();
    for (const id of changed) {
      const frame = this.#nodes.get(id)?.frame;
      if (frame !== undefined) frames.add(frame);
    }
    for (const id of changed) {
      const { problems: _before, ...run } = make(this.#nodes.get(id) ?? {}, id);
      const problems = [...(this.#told.get(id) ?? []), ...(this.#seen.get(id) ?? [])];
      this.#nodes.set(id, problems.length > 0 ? { ...run, problems } : run);
      this.#nodeListeners.get(id)?.forEach((listener) => listener());
    }
    for (const listener of this.#listeners) listener(changed);
    if (frames.size > 0) this.#closed(frames);
  }

  /** Closes live pictures that no node shows any more, once everybody has looked at what came after them. */
  #closed(frames: Set<ImageBitmap>): void {
    for (const { frame } of this.#nodes.values()) if (frame !== undefined) frames.delete(frame);
    for (const frame of frames) frame.close();
  }
}

function resultOf(file: ShownFile): ResultImage {
  const made = { url: viewAddress(file), name: file.filename };
  if (plays(file.filename)) return { ...made, film: true };
  return /\.(gif|webp|apng|avif)$/i.test(file.filename) ? { ...made, still: viewAddress(file, true) } : made;
}

/** A node and the subgraph nodes that it lies in, which show what happens inside them. */
function ids(node: NodeId): readonly NodeId[] {
  const parts = node.split(":");
  return parts.map((_, at) => parts.slice(0, parts.length - at).join(":"));
}

/** What stays of a node's run when another begins: its pictures and texts until there are new ones. */
function without(run: NodeRun): NodeRun & { status?: NodeStatus } {
  const { status: _s, progress: _p, preview: _v, frame: _f, problems: _r, seconds: _t, ...kept } = run;
  return kept;
}
