import { useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore, type Ref } from "react";
import type { Document, GraphId, GroupId, LinkId, NodeId, Specs } from "../document/types";
import { NO_SERVICES, type WidgetServices } from "../widgets/services";
import type { Actions } from "./actions";
import type { Box, Point } from "./camera";
import { branchAt } from "./bends";
import { shiftPort, takePort } from "./borderPorts";
import "./canvas.css";
import "../widgets/widgets.css";
import { useUi, useView, ViewContext, type View } from "./context";
import type { LinkStyle } from "./curve";
import { GroupTitle } from "./GroupTitle";
import type { PortRef, Target } from "./hit";
import { describe, Keyboard, toggleTrace } from "./keyboard";
import { MinimapView } from "./MinimapView";
import { NodeBody } from "./node/NodeBody";
import { PartnerList } from "./PartnerList";
import { PortalName } from "./PortalName";
import { Pointer } from "./pointer";
import type { RunView } from "./runView";
import type { Selection } from "./selection";
import { Stage } from "./stage";
import { say } from "./text";

/** What others may do with the camera. */
export interface CameraHandle {
  /** Shows the whole graph, or the given nodes. */
  fit(ids?: Iterable<NodeId>): void;
  zoomTo(zoom: number): void;
  /** Flies to a node, selects it and puts the keyboard there. */
  centerOn(id: NodeId): void;
  toScreen(at: Point): Point;
  toGraph(client: Point): Point;
  readonly zoom: number;
  /** The part of the graph in view. */
  readonly view: Box;
  /** Shows what feeds a node and what it feeds, and lets the rest step back; Esc, or no node, ends it. */
  trace(id: NodeId | undefined): void;
  /** The same for the node that is selected or that the keyboard is at; everything again when a signal is traced already. */
  toggleTrace(): void;
  /** Flies to a place, as the middle of the view. */
  goTo(at: Point, zoom: number): void;
  /** Lists what a new link from a place on another may go to. */
  branch(target: Target, at: Point): void;
  /** Begins to edit the name of a link shown as a portal. */
  namePortal(id: LinkId): void;
  renameGroup(id: GroupId): void;
  /** Begins to edit the title of a node. */
  rename(id: NodeId): void;
  /** A port of a subgraph's border, to be called otherwise, moved by places or taken away. */
  renamePort(port: PortRef): void;
  shiftPort(port: PortRef, by: number): void;
  removePort(port: PortRef): void;
  focus(): void;
}

export interface GraphViewProps extends Omit<Actions, "readOnly" | "snapToGrid" | "hand"> {
  readonly document: Document;
  readonly graphId: GraphId;
  readonly specs: Specs;
  readonly run: RunView;
  readonly selection: Selection;
  readonly services?: WidgetServices;
  readonly readOnly?: boolean;
  readonly snapToGrid?: boolean;
  readonly hand?: boolean;
  readonly minimap?: boolean;
  readonly showLinks?: boolean;
  readonly linkStyle?: LinkStyle;
  readonly ref?: Ref<CameraHandle>;
}

/** The graph on screen. One instance shows one graph of one document; opening another makes a new one. */
export function GraphView(props: GraphViewProps) {
  const { document, graphId, specs, run, selection, services = NO_SERVICES, minimap = true, showLinks = true, linkStyle = "spline", ref } = props;
  const host = useRef<HTMLDivElement>(null);
  const plane = useRef<HTMLDivElement>(null);
  const grid = useRef<HTMLDivElement>(null);
  const bottom = useRef<HTMLCanvasElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const top = useRef<HTMLCanvasElement>(null);
  const world = useRef<HTMLDivElement>(null);
  const map = useRef<HTMLCanvasElement>(null);
  const mapFrame = useRef<HTMLDivElement>(null);
  const [stage, setStage] = useState<Stage>();
  const latest = useRef<Actions>(undefined as never);
  latest.current = { ...props, readOnly: props.readOnly === true, snapToGrid: props.snapToGrid === true, hand: props.hand === true };

  useLayoutEffect(() => {
    if (host.current === null || plane.current === null || grid.current === null || bottom.current === null) return undefined;
    if (still.current === null || top.current === null || world.current === null) return undefined;
    const parts = {
      host: host.current, plane: plane.current, grid: grid.current, bottom: bottom.current, still: still.current, top: top.current, world: world.current,
      map: map.current, mapFrame: mapFrame.current,
    };
    const made = new Stage(parts, document, graphId, specs, selection, run);
    const actions = (): Actions => latest.current;
    const pointer = new Pointer(made, actions);
    const keyboard = new Keyboard(made, pointer, actions);
    setStage(made);
    return () => {
      pointer.stop();
      keyboard.stop();
      made.stop();
    };
  }, [document, graphId, specs, selection, run, minimap]);

  useEffect(() => {
    if (stage === undefined) return;
    stage.showLinks = showLinks && linkStyle !== "hidden";
    stage.scene.links.style = linkStyle;
    stage.redraw();
  }, [stage, showLinks, linkStyle]);
  useImperativeHandle(ref, () => cameraHandle(() => stage), [stage]);
  const view = useMemo<View | undefined>(
    () => (stage === undefined ? undefined : { stage, actions: () => latest.current, services }),
    [stage, services],
  );
  return (
    <div ref={host} className="graph" role="application" tabIndex={0} aria-label={say("canvas.graph", "Graph")} aria-roledescription={say("canvas.role", "node graph")}
      aria-activedescendant={view === undefined ? undefined : "graph-focus"}>
      <div ref={plane} className="graph-plane">
        <div ref={grid} className="graph-grid" />
        <canvas ref={bottom} className="graph-bottom" aria-hidden="true" />
        <canvas ref={still} className="graph-bottom" data-still="" aria-hidden="true" />
        <div ref={world} className="graph-world">
          {view !== undefined && (
            <ViewContext value={view}>
              <NearNodes key={graphId} />
              <GroupTitle />
              <PortalName />
            </ViewContext>
          )}
        </div>
      </div>
      <canvas ref={top} className="graph-top" aria-hidden="true" />
      {minimap && <MinimapView canvas={map} frame={mapFrame} stage={stage} />}
      {view !== undefined && (
        <ViewContext value={view}>
          <PartnerList />
          <Voice />
        </ViewContext>
      )}
    </div>
  );
}

function NearNodes() {
  const { stage } = useView();
  const ids = useSyncExternalStore(stage.mounts.subscribe, stage.mounts.snapshot);
  return ids.map((id) => <NodeBody key={id} id={id} />);
}

/** What a screen reader hears: the node the keyboard is at, and what just happened. */
function Voice() {
  const { stage } = useView();
  const announcement = useUi((ui) => ui.announcement);
  const focused = useSyncExternalStore(stage.selection.subscribe, () => stage.selection.focused);
  return (
    <div className="graph-voice">
      <div id="graph-focus" role="group" aria-label={focused === undefined ? say("canvas.noFocus", "No node") : describe(stage, focused)} />
      <div aria-live="polite" role="status">{announcement}</div>
    </div>
  );
}

function cameraHandle(get: () => Stage | undefined): CameraHandle {
  const box = (): DOMRect => get()?.parts.host.getBoundingClientRect() ?? new DOMRect();
  return {
    fit: (ids) => get()?.fit(true, ids),
    zoomTo(zoom) {
      const camera = get()?.camera;
      camera?.centreOn(camera.x + camera.width / 2 / camera.zoom, camera.y + camera.height / 2 / camera.zoom, zoom);
    },
    centerOn(id) {
      const stage = get();
      const place = stage?.scene.box(id);
      if (stage === undefined || place === undefined) return;
      stage.selection.set({ nodes: new Set([id]) });
      stage.selection.focus(id);
      stage.camera.centreOn(place.x + place.width / 2, place.y + place.height / 2, Math.max(stage.camera.zoom, 0.7));
    },
    toScreen(at) {
      const point = get()?.camera.toScreen(at.x, at.y) ?? at;
      return { x: point.x + box().left, y: point.y + box().top };
    },
    toGraph: (client) => get()?.pointOf({ clientX: client.x, clientY: client.y }) ?? client,
    get zoom() {
      return get()?.camera.zoom ?? 1;
    },
    get view() {
      const camera = get()?.camera;
      if (camera === undefined) return { x: 0, y: 0, width: 1, height: 1 };
      return { x: camera.x, y: camera.y, width: camera.width / camera.zoom, height: camera.height / camera.zoom };
    },
    trace: (id) => get()?.trace(id),
    toggleTrace() {
      const stage = get();
      if (stage !== undefined) toggleTrace(stage);
    },
    goTo: (at, zoom) => get()?.camera.centreOn(at.x, at.y, zoom),
    branch(target, at) {
      const stage = get();
      if (stage !== undefined) stage.ui.set({ branching: branchAt(stage, target, at) });
    },
    namePortal: (id) => get()?.ui.set({ renamingLink: id }),
    renameGroup: (id) => get()?.ui.set({ renamingGroup: id }),
    rename: (id) => get()?.ui.set({ renaming: id }),
    renamePort: (port) => get()?.ui.set({ renamingPort: port }),
    shiftPort(port, by) {
      const stage = get();
      if (stage !== undefined) shiftPort(stage, port, by);
    },
    removePort(port) {
      const stage = get();
      if (stage !== undefined) takePort(stage, port);
    },
    focus: () => get()?.parts.host.focus({ preventScroll: true }),
  };
}
