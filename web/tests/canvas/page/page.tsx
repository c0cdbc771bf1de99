/** A page with nothing but the canvas: what the benchmark measures and the browser tests drive. */
import { createRef, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { flushSync } from "react-dom";
import { GraphView, type CameraHandle } from "../../../src/canvas/GraphView";
import type { LinkStyle } from "../../../src/canvas/curve";
import { Previews } from "../../../src/client/previews";
import { RunState } from "../../../src/client/runs";
import type { NodeRun, RunView } from "../../../src/canvas/runView";
import { createSelection } from "../../../src/canvas/selection";
import { readEditor } from "../../../src/document/read/editor";
import { readSpecs } from "../../../src/document/specs";
import { createDocument } from "../../../src/document/store";
import { openFile } from "../../../src/document/files";
import { saveText } from "../../../src/document/open";
import type { Watch } from "../../../src/document/slices";
import type { Document, JsonObject, NodeId, Specs, Workflow } from "../../../src/document/types";
import "../../../src/styles/tokens.css";

const root = createRoot(document.getElementById("root") as HTMLElement);
const calls: unknown[][] = [];

class Runs implements RunView {
  private readonly states = new Map<NodeId, NodeRun>();
  private readonly nodes = new Map<NodeId, Set<() => void>>();
  private readonly all = new Set<(changed: Iterable<NodeId>) => void>();
  node = (id: NodeId): NodeRun | undefined => this.states.get(id);
  subscribeNode = (id: NodeId, listener: () => void): (() => void) => {
    const set = this.nodes.get(id) ?? new Set();
    this.nodes.set(id, set.add(listener));
    return () => set.delete(listener);
  };
  subscribe = (listener: (changed: Iterable<NodeId>) => void): (() => void) => {
    this.all.add(listener);
    return () => this.all.delete(listener);
  };
  set(id: NodeId, state: NodeRun): void {
    this.states.set(id, state);
    this.all.forEach((listener) => listener([id]));
    this.nodes.get(id)?.forEach((listener) => listener());
  }
}

const page = {
  camera: createRef<CameraHandle>(),
  document: undefined as Document | undefined,
  selection: createSelection(),
  runs: new Runs(),
  calls,
  linkStyle: "spline" as LinkStyle,
  graphId: "",
  open(text: string, info: JsonObject, readOnly = false): void {
    const specs = readSpecs(info);
    page.show(readEditor(JSON.parse(text) as JsonObject, specs), specs, readOnly);
  },
  /** Opens as the shell does: a file, read in slices. Gives the text that saving it makes. */
  async openFile(text: string, info: JsonObject, watch?: Watch): Promise<string> {
    const specs = readSpecs(info);
    const workflow = await openFile(await new Blob([text]).arrayBuffer(), specs, watch);
    page.show(workflow, specs);
    return text.length > 1e6 ? "" : saveText(workflow, specs);
  },
  /** Opens as while a job runs, and gives what takes its live pictures: decoded in a worker, or as they are. */
  openRunning(text: string, info: JsonObject, nodes: readonly NodeId[]): { decoded(id: NodeId, picture: Blob): void; plain(id: NodeId, picture: Blob): void; run: RunState } {
    const specs = readSpecs(info);
    const run = new RunState();
    run.queued("job", nodes, {});
    run.hear({ type: "execution_start", data: { prompt_id: "job" } });
    for (const node of nodes) run.hear({ type: "executing", data: { prompt_id: "job", node } });
    page.show(readEditor(JSON.parse(text) as JsonObject, specs), specs, false, run.view(""));
    const see = new Previews((preview) => run.see(preview));
    const as = (nodeId: NodeId, picture: Blob) => ({ nodeId, displayId: nodeId, promptId: "job", picture });
    return { decoded: (id, picture) => see.take(as(id, picture)), plain: (id, picture) => run.see(as(id, picture)), run };
  },
  show(workflow: Workflow, specs: Specs, readOnly = false, run?: RunView): void {
    const opened = createDocument(workflow);
    page.document = opened;
    page.selection = createSelection();
    page.runs = new Runs();
    const note = (name: string) => (...args: unknown[]) => void calls.push([name, ...args]);
    flushSync(() =>
      root.render(
        <StrictMode>
          <GraphView
            key={Math.random()} ref={page.camera} document={opened} graphId={page.graphId} specs={specs} run={run ?? page.runs} selection={page.selection} readOnly={readOnly} linkStyle={page.linkStyle}
            onOpenSearch={note("search")} onOpenSubgraph={note("subgraph")} onContextMenu={note("menu")} onOpenImage={note("image")} onFix={note("fix")}
            services={{
              complete: (word) => Promise.resolve(word.startsWith("embedding:") ? [{ insert: "embedding:best", label: "best", detail: "embedding" }] : []),
              upload: (file) => Promise.resolve(`up/${file.name}`),
              countTokens: (words) => Promise.resolve({ count: words.split(/\s+/).filter(Boolean).length, limit: 77 }),
            }}
          />
        </StrictMode>,
      ),
    );
  },
};
declare global {
  interface Window {
    page: typeof page;
  }
}
window.page = page;
