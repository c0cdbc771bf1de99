import { useEffect, useMemo, useRef, type DragEvent } from "react";
import { GraphView, type CameraHandle } from "../canvas/GraphView";
import type { PortRef, Target } from "../canvas/hit";
import type { NodeProblem } from "../canvas/runView";
import { upload } from "../client/files";
import { useStore } from "../client/store";
import type { GraphId, NodeId } from "../document/types";
import type { WidgetServices } from "../widgets/services";
import { t } from "../i18n";
import { overlay } from "./actions";
import { fixChoice } from "./checking";
import { addNode, type FromPort } from "./adding";
import { graphHandle } from "./graphHandle";
import { graphMenu } from "./graphMenu";
import { showPictures } from "./Lightbox";
import { showMenu } from "./Menu";
import { say } from "./toasts";
import { prefixOf, specs, TOP, type Place, type Tab } from "./workspace";

const SERVICES: WidgetServices = {
  upload: async (file) => {
    const stored = await upload(file);
    return stored.subfolder ? `${stored.subfolder}/${stored.name}` : stored.name;
  },
  imageUrl: (name) => `/view?${new URLSearchParams({ filename: name, type: "input", preview: "webp;80" })}`,
  problem: (message) => say(message, "problem"),
};

interface At {
  readonly x: number;
  readonly y: number;
}

/** The graph of a tab: which of its graphs is shown, and what the canvas asks for. */
export default function GraphScreen({ tab }: { readonly tab: Tab }) {
  const known = useStore(specs);
  const place = useStore(tab.place);
  const run = useMemo(() => tab.run.view(prefixOf(place)), [tab, place]);
  const camera = useRef<CameraHandle>(null);
  useEffect(() => {
    graphHandle.set({
      fit: (ids) => camera.current?.fit(ids),
      zoomBy: (factor) => camera.current?.zoomTo(camera.current.zoom * factor),
      centreOn: (id) => camera.current?.centerOn(id),
      focus: () => camera.current?.focus(),
      rename: (id) => camera.current?.rename(id),
      toGraph: (x, y) => camera.current?.toGraph({ x, y }) ?? { x: 0, y: 0 },
    });
    return () => graphHandle.set(undefined);
  }, [tab, place]);
  if (known === undefined) return null;

  const search = (at: At, client: At, port?: PortRef): void => {
    const from = port && fromPort(tab, place.graph, port);
    overlay.set({ search: { x: client.x, y: client.y, at, ...(from ? { port: from } : {}) } });
  };
  const enter = (graph: GraphId, id: NodeId): void => {
    const name = tab.document.workflow.graphs.get(graph)?.name ?? id;
    tab.selection.set({});
    tab.place.set({ graph, nodes: [...place.nodes, { id, graph, name }] });
  };
  const menu = (target: Target, at: At, client: At): void => {
    const items = graphMenu(tab, target, () => search(at, client));
    showMenu(client.x, client.y, t("menu.graph", "Graph"), items);
  };
  const images = (id: NodeId, index: number): void => {
    const found = run.node(id)?.images ?? [];
    showPictures(found, index);
  };
  const fix = (id: NodeId, problem: NodeProblem): void => {
    if (problem.input !== undefined) fixChoice(tab, id, problem.input);
  };
  const drop = (event: DragEvent): void => {
    const type = event.dataTransfer.getData("application/x-safelight-node");
    if (type === "") return;
    event.preventDefault();
    addNode(type, camera.current?.toGraph({ x: event.clientX, y: event.clientY }));
  };
  return (
    <div className="graphscreen" onDragOver={(event) => event.dataTransfer.types.includes("application/x-safelight-node") && event.preventDefault()} onDrop={drop}>
      <GraphView
        key={place.graph}
        ref={camera}
        document={tab.document}
        graphId={place.graph}
        specs={known}
        run={run}
        selection={tab.selection}
        services={SERVICES}
        onOpenSearch={search}
        onOpenSubgraph={enter}
        onContextMenu={menu}
        onOpenImage={images}
        onFix={fix}
      />
      {place.nodes.length > 0 && <Crumbs tab={tab} place={place} />}
    </div>
  );
}

function Crumbs({ tab, place }: { readonly tab: Tab; readonly place: Place }) {
  const name = useStore(tab.name);
  const go = (depth: number): void => {
    const nodes = place.nodes.slice(0, depth);
    tab.selection.set({});
    tab.place.set(depth === 0 ? TOP : { graph: nodes.at(-1)?.graph ?? TOP.graph, nodes });
  };
  return (
    <nav className="crumbs" aria-label={t("crumbs", "Where in the workflow")}>
      <button className="button tiny" onClick={() => go(0)}>
        {name}
      </button>
      {place.nodes.map((node, at) => (
        <span key={node.id} className="row">
          <span aria-hidden="true">›</span>
          <button className="button tiny" aria-current={at === place.nodes.length - 1 ? "location" : undefined} onClick={() => go(at + 1)}>
            {node.name}
          </button>
        </span>
      ))}
    </nav>
  );
}

/** The port that a link was dragged from, with its type. */
function fromPort(tab: Tab, graph: GraphId, port: PortRef): FromPort | undefined {
  const node = tab.document.node(graph, port.node);
  const slot = port.side === "output" ? node?.outputs[port.index] : node?.inputs[port.index];
  if (slot === undefined) return undefined;
  return { node: port.node, side: port.side === "output" ? "out" : "in", slot: port.index, type: slot.type };
}
