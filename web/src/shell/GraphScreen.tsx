import { useEffect, useMemo, useRef, type DragEvent } from "react";
import { GraphView, type CameraHandle } from "../canvas/GraphView";
import type { LinkEnd } from "../canvas/actions";
import type { Target } from "../canvas/hit";
import type { NodeProblem } from "../canvas/runView";
import { useStore } from "../client/store";
import type { GraphId, NodeId } from "../document/types";
import { t } from "../i18n";
import { dropPicture } from "../pictures/drop";
import { PICTURE_TYPE } from "../pictures/screens";
import { overlay } from "./actions";
import { keyHint, runCommand } from "./commands";
import { Icon } from "./icons";
import { looking, preference } from "./preferences";
import { prepareThumbnails } from "./thumbnails";
import { SERVICES } from "./widgetServices";
import { fixChoice } from "./checking";
import { addNode, type FromPort } from "./adding";
import { fittingItems } from "./fitting";
import { graphHandle, pointer } from "./graphHandle";
import { graphMenu } from "./graphMenu";
import { showPictures } from "./Lightbox";
import { showMenu } from "./Menu";
import { prefixOf, specs, TOP, type Place, type Tab } from "./workspace";

/** What can be dragged onto the graph from within the editor. */
const DRAGGED = ["application/x-safelight-node", PICTURE_TYPE];

interface At {
  readonly x: number;
  readonly y: number;
}

/** The graph of a tab: which of its graphs is shown, and what the canvas asks for. */
export default function GraphScreen({ tab }: { readonly tab: Tab }) {
  const known = useStore(specs);
  const place = useStore(tab.place);
  const minimap = useStore(preference("minimap"));
  const snap = useStore(preference("snap"));
  const { links, locked, hand } = useStore(looking);
  useEffect(() => prepareThumbnails(tab.document.graph(place.graph).nodes.values()), [tab, place]);
  const run = useMemo(() => tab.run.view(prefixOf(place)), [tab, place]);
  const camera = useRef<CameraHandle>(null);
  useEffect(() => {
    graphHandle.set({
      fit: (ids) => camera.current?.fit(ids),
      zoomBy: (factor) => camera.current?.zoomTo(camera.current.zoom * factor),
      centreOn: (id) => camera.current?.centerOn(id),
      focus: () => camera.current?.focus(),
      rename: (id) => camera.current?.rename(id),
      toggleTrace: () => camera.current?.toggleTrace(),
      where: () => {
        const { x, y, width, height } = camera.current?.view ?? { x: 0, y: 0, width: 0, height: 0 };
        return { x: Math.round(x + width / 2), y: Math.round(y + height / 2), zoom: camera.current?.zoom ?? 1 };
      },
      goTo: (at, zoom) => camera.current?.goTo(at, zoom),
      branch: (target, at) => camera.current?.branch(target, at),
      namePortal: (link) => camera.current?.namePortal(link),
      renameGroup: (group) => camera.current?.renameGroup(group),
      renamePort: (port) => camera.current?.renamePort(port),
      shiftPort: (port, by) => camera.current?.shiftPort(port, by),
      removePort: (port) => camera.current?.removePort(port),
      toGraph: (x, y) => camera.current?.toGraph({ x, y }) ?? { x: 0, y: 0 },
    });
    return () => graphHandle.set(undefined);
  }, [tab, place]);
  if (known === undefined) return null;

  const search = (at: At, client: At, end?: LinkEnd): void => {
    const port = end && fromPort(tab, place.graph, end);
    const open = (): void => overlay.set({ search: { x: client.x, y: client.y, at, ...(port && { port }) } });
    if (port !== undefined && end?.menu === true) showMenu(client.x, client.y, t("node.add", "Add a node…"), fittingItems(at, port, open));
    else open();
  };
  const enter = (graph: GraphId, id: NodeId): void => {
    const name = tab.document.workflow.graphs.get(graph)?.name ?? id;
    tab.selection.set({});
    tab.place.set({ graph, nodes: [...place.nodes, { id, graph, name }] });
  };
  const menu = (target: Target, at: At, client: At): void => {
    const items = graphMenu(tab, target, at, () => search(at, client), (label, more) => showMenu(client.x + 1, client.y, label, more), widgetAt(client));
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
    if (dropPicture(tab, place.graph, event, camera.current)) return;
    const dragged = event.dataTransfer.getData("application/x-safelight-node");
    if (dragged === "") return;
    event.preventDefault();
    // A type alone, or a type with values: a model file brings its name.
    const { type, values } = dragged.startsWith("{") ? (JSON.parse(dragged) as { type: string; values: Record<string, string> }) : { type: dragged, values: {} };
    addNode(type, camera.current?.toGraph({ x: event.clientX, y: event.clientY }), undefined, values);
  };
  return (
    <div className="graphscreen" onDragOver={(event) => DRAGGED.some((type) => event.dataTransfer.types.includes(type)) && event.preventDefault()} onDrop={drop}
      onPointerMove={(event) => (pointer.at = { x: event.clientX, y: event.clientY })} onPointerLeave={() => (pointer.at = undefined)}>
      <GraphView
        key={place.graph}
        ref={camera}
        document={tab.document}
        graphId={place.graph}
        specs={known}
        run={run}
        selection={tab.selection}
        services={SERVICES}
        minimap={minimap}
        snapToGrid={snap}
        showLinks={links}
        readOnly={locked}
        hand={hand}
        onOpenSearch={search}
        onOpenSubgraph={enter}
        onContextMenu={menu}
        onOpenImage={images}
        onFix={fix}
      />
      <Modes />
      {place.nodes.length > 0 && <Crumbs tab={tab} place={place} />}
    </div>
  );
}

/** What is not as usual about the view, each with the way back. */
function Modes() {
  const { links, locked, hand, focus } = useStore(looking);
  const chip = (on: boolean, words: string, command: string) =>
    on && (
      <button className="chip" title={words + keyHint(command)} onClick={() => runCommand(command)}>
        {words} <Icon name="close" />
      </button>
    );
  return (
    <div className="modes" role="status">
      {chip(locked, t("mode.locked", "Locked"), "view.lock")}
      {chip(!links, t("mode.links", "Links hidden"), "view.links")}
      {chip(hand, t("mode.hand", "Hand"), "view.pointer")}
      {chip(focus, t("mode.focus", "Only the graph"), "view.focus")}
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
      <button className="button tiny" dir="auto" onClick={() => go(0)}>
        {name}
      </button>
      {place.nodes.map((node, at) => (
        <span key={node.id} className="row">
          <span aria-hidden="true">›</span>
          <button className="button tiny" aria-current={at === place.nodes.length - 1 ? "location" : undefined} onClick={() => go(at + 1)} dir="auto">
            {node.name}
          </button>
        </span>
      ))}
    </nav>
  );
}

/** The input whose widget lies at a point of the screen. */
const widgetAt = (client: At): string | undefined => document.elementFromPoint(client.x, client.y)?.closest<HTMLElement>("[data-input]")?.dataset["input"];

/** The port that a link was dragged from: of a node, of a border of the subgraph, or of a widget that has no slot yet. */
function fromPort(tab: Tab, graph: GraphId, { port, slot, way }: LinkEnd): FromPort | undefined {
  if (slot === undefined) return undefined;
  const node = tab.document.node(graph, port.node);
  const side = port.side === "output" ? "out" : "in";
  const value = slot.widget === undefined || side === "out" ? undefined : (node?.values[slot.widget] ?? undefined);
  if (port.index >= 0) return { node: port.node, side, slot: port.index, type: slot.type, value, way };
  return node && { node: port.node, side, slot: node.inputs.length, type: slot.type, added: slot, value, way };
}
