import type { Change, Document, GraphId, NodeId, Specs } from "../document/types";
import { Camera, NEAR_FROM } from "./camera";
import { Minimap } from "./minimap";
import { LINK_FADED } from "./linkTable";
import { Mounts } from "./mounts";
import { paint } from "./paint";
import { Overlay } from "./overlay";
import { Palette } from "./palette";
import { Surface } from "./surface";
import type { RunView } from "./runView";
import { above, below } from "./rules";
import { FADED, Scene, STATUS } from "./scene";
import type { Selection } from "./selection";
import { SpecSource } from "./specs";
import { say } from "./text";
import { Thumbnails } from "./thumbnails";
import { createUi } from "./ui";

export interface StageParts {
  readonly host: HTMLElement;
  readonly plane: HTMLElement;
  readonly grid: HTMLElement;
  readonly bottom: HTMLCanvasElement;
  readonly still: HTMLCanvasElement;
  readonly top: HTMLCanvasElement;
  readonly world: HTMLElement;
  readonly map: HTMLCanvasElement | null;
  readonly mapFrame: HTMLElement | null;
}

const SETTLE_MS = 160;
const GROW_MS = 10;

/** Where the view of each open graph was last: coming back to a graph, or new node types, must not move it. */
const views = new WeakMap<Document, Map<GraphId, { x: number; y: number; zoom: number }>>();

/** Everything of one graph on screen that is not React: canvases, camera, which nodes are in the DOM, the frame loop. */
export class Stage {
  readonly camera: Camera;
  readonly scene: Scene;
  readonly palette: Palette;
  readonly overlay: Overlay;
  readonly mounts: Mounts;
  readonly thumbnails: Thumbnails;
  readonly ui = createUi();
  readonly specs: SpecSource;
  /** True while a link is dragged: other links step back. */
  linking = false;
  showLinks = true;
  private readonly surface: Surface;
  private readonly minimap: Minimap | undefined;
  private readonly ends: (() => void)[] = [];
  private frame = 0;
  private settle: ReturnType<typeof setTimeout> | undefined;
  private ratio = 1;
  private cameraMoved = true;
  private changedPicture = true;
  private placed = false;
  /** What part of a graph was shown when not all of it was read. */
  private fitted: { readonly x: number; readonly zoom: number } | undefined;

  constructor(
    readonly parts: StageParts,
    readonly document: Document,
    readonly graphId: GraphId,
    specs: Specs,
    readonly selection: Selection,
    readonly run: RunView,
  ) {
    const above = parts.top.getContext("2d");
    if (above === null) throw new Error("this browser gives no 2D canvas");
    this.camera = new Camera(() => this.moved());
    this.palette = new Palette(parts.host);
    this.specs = new SpecSource(document, specs);
    this.scene = new Scene(document, graphId, this.specs);
    this.overlay = new Overlay(above, this.camera, this.palette);
    this.mounts = new Mounts(this.scene, this.camera, () => this.redraw(), () => this.surface.stale(), () => this.request());
    this.thumbnails = new Thumbnails(() => this.redraw());
    this.surface = new Surface(parts, this.camera, (context, view, originX, originY) => paint({
      context, camera: view, scene: this.scene, palette: this.palette, thumbnails: this.thumbnails, ratio: this.ratio, originX, originY,
      linking: this.linking, showLinks: this.showLinks,
    }), () => this.request());
    if (parts.map !== null && parts.mapFrame !== null) {
      this.minimap = new Minimap(parts.map, parts.mapFrame, () => this.scene, this.camera, this.palette);
    }
    this.listen();
  }

  private listen(): void {
    const { document, selection, run } = this;
    this.ends.push(document.subscribe((change) => this.changed(change)));
    this.ends.push(selection.subscribe(() => this.selected()));
    this.ends.push(run.subscribe((ids) => this.ran(ids)));
    this.ran(this.scene.ids.slice());
    this.selected();
    const sizes = new ResizeObserver(() => this.resize());
    sizes.observe(this.parts.host);
    this.ends.push(() => sizes.disconnect());
    const theme = (): void => {
      this.palette.read();
      this.redraw();
      this.minimap?.changed();
    };
    const attributes = new MutationObserver(theme);
    attributes.observe(window.document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class", "style"] });
    this.ends.push(() => attributes.disconnect());
    const scheme = matchMedia("(prefers-color-scheme: light)");
    scheme.addEventListener("change", theme);
    this.ends.push(() => scheme.removeEventListener("change", theme));
    this.resize();
  }

  private changed(change: Change): void {
    if (!this.document.workflow.graphs.has(this.graphId)) return;
    const { generation } = this.scene;
    const differs = this.scene.update(change);
    // Another graph's interface may be that of a subgraph node here.
    if (change.graph !== this.graphId && change.structure) this.scene.rebuild();
    else if (!differs) return;
    if (this.scene.generation !== generation) {
      this.mounts.again();
      this.selected();
      this.ran(this.scene.ids.slice());
    }
    this.mounts.place(change.nodes);
    if (change.links.size > 0 || change.structure || this.scene.generation !== generation) this.ui.linksChanged();
    this.redraw();
    this.minimap?.changed();
  }

  private selected(): void {
    this.scene.select(this.selection.current);
    this.mounts.focused = this.selection.focused;
    this.redraw();
    this.minimap?.changed();
  }

  private ran(ids: Iterable<NodeId>): void {
    const near = this.camera.zoom >= NEAR_FROM;
    let changed = false;
    let told = false;
    for (const id of ids) {
      const state = this.run.node(id);
      const i = this.scene.index.get(id);
      if (i !== undefined && state?.status === "failed" && this.scene.status[i] !== STATUS.failed) {
        const message = state.problems?.[0]?.message ?? "";
        this.ui.announce(say("canvas.nodeFailed", "{title} failed. {message}", { title: this.scene.titles[i] ?? "", message }));
      }
      const status = this.scene.status[i ?? -1];
      const outline = this.scene.setRun(id, state);
      told ||= status !== this.scene.status[i ?? -1];
      // The live picture and the progress of a node in the DOM are not on the canvas.
      changed ||= outline || told || !near || !this.mounts.has(id);
      const first = state?.images?.[0];
      this.thumbnails.set(id, (state?.status === "running" ? (state.frame ?? state.preview) : undefined) ?? first?.small ?? first?.url ?? state?.preview, first?.film);
      if (outline) this.mounts.placeOne(id);
    }
    if (changed) this.redraw();
    if (told) this.minimap?.changed();
  }

  resize(): void {
    const { host, top } = this.parts;
    const width = host.clientWidth;
    const height = host.clientHeight;
    if (width === 0 || height === 0) return;
    this.ratio = Math.min(3, devicePixelRatio || 1);
    top.width = Math.round(width * this.ratio);
    top.height = Math.round(height * this.ratio);
    this.camera.width = width;
    this.camera.height = height;
    this.surface.resize(this.ratio);
    if (!this.placed) {
      this.placed = true;
      const last = views.get(this.document)?.get(this.graphId);
      if (last === undefined) this.fit(false);
      else this.camera.set(last.x, last.y, last.zoom);
    }
    this.moved();
  }

  /** Shows the whole graph, or the given nodes, at 100 % at most. */
  fit(fly = true, ids?: Iterable<NodeId>): void {
    const box = this.scene.bounds(ids);
    if (box === undefined) return this.camera.set(-this.camera.width / 2, -this.camera.height / 2, 1);
    const { camera } = this;
    const margin = 56;
    const across = (camera.width - 2 * margin) / Math.max(1, box.width);
    const down = (camera.height - 2 * margin) / Math.max(1, box.height);
    camera.centreOn(box.x + box.width / 2, box.y + box.height / 2, Math.min(1, across, down), fly);
    this.fitted = fly || this.scene.whole ? undefined : { x: camera.x, zoom: camera.zoom };
  }

  private moved(): void {
    this.cameraMoved = true;
    this.parts.world.classList.add("moving");
    clearTimeout(this.settle);
    // A layer of its own while moving; afterwards the text is drawn again, sharp, at its new size.
    this.settle = setTimeout(() => this.parts.world.classList.remove("moving"), SETTLE_MS);
    this.request();
    this.ui.cameraMoved();
  }

  /** Lets everything step back that neither feeds a node nor is fed by it; nothing steps back without one. */
  trace(id: NodeId | undefined): void {
    const { scene, document, graphId } = this;
    const on = id === undefined ? undefined : new Set([...above(document, graphId, id), ...below(document, graphId, id)]);
    for (const one of scene.ids) scene.mark(one, FADED, on !== undefined && !on.has(one));
    const { links } = scene;
    for (let i = 0; i < links.count; i++) {
      const link = links.records[i];
      const away = on !== undefined && link !== undefined && !(on.has(link.from) && on.has(link.to));
      links.flags[i] = away ? (links.flags[i] ?? 0) | LINK_FADED : (links.flags[i] ?? 0) & ~LINK_FADED;
    }
    this.ui.set({ traced: on });
    this.redraw();
  }

  /** Draws links thicker that the pointer is on. */
  hoverLinks(ids: readonly string[]): void {
    const { hoveredLinks } = this.scene;
    if (ids.length === hoveredLinks.length && ids.every((id, n) => id === hoveredLinks[n])) return;
    this.scene.hoveredLinks = ids;
    this.redraw();
  }

  /** Asks for one painting in the next frame, however often it is asked. */
  redraw(): void {
    this.changedPicture = true;
    this.request();
  }

  /** Asks for one frame, in which what was painted may stay as it is. */
  private request(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = 0;
    const { camera, parts } = this;
    if (this.cameraMoved) {
      this.cameraMoved = false;
      // Seen or not, the layer keeps its focus: `visibility` would take it from a field that is being edited.
      parts.world.classList.toggle("far", camera.zoom < NEAR_FROM);
      this.minimap?.moved();
    }
    this.grow();
    if (this.mounts.update()) this.request();
    const changed = this.changedPicture;
    this.changedPicture = false;
    this.surface.draw(changed);
    if (!this.overlay.idle) this.overlay.draw(this.ratio);
  }

  /** Reads more of a large graph; when all is there it is looked at as a whole, unless the view was moved meanwhile. */
  private grow(): void {
    const { scene, document } = this;
    if (scene.whole || !document.workflow.graphs.has(this.graphId)) return;
    if (scene.grow(GROW_MS)) return this.redraw();
    this.selected();
    this.ran(scene.ids.slice());
    if (this.fitted !== undefined && this.camera.x === this.fitted.x && this.camera.zoom === this.fitted.zoom) this.fit(false);
  }

  /** Graph point of a pointer event. */
  pointOf(event: { clientX: number; clientY: number }): { x: number; y: number } {
    const box = this.parts.host.getBoundingClientRect();
    return this.camera.toGraph(event.clientX - box.left, event.clientY - box.top);
  }

  mapPoint(x: number, y: number): { x: number; y: number } | undefined {
    return this.minimap?.toGraph(x, y);
  }

  stop(): void {
    const { x, y, zoom } = this.camera;
    const kept = views.get(this.document) ?? new Map<GraphId, { x: number; y: number; zoom: number }>();
    if (this.placed) views.set(this.document, kept.set(this.graphId, { x, y, zoom }));
    cancelAnimationFrame(this.frame);
    clearTimeout(this.settle);
    this.camera.stop();
    this.minimap?.stop();
    this.surface.stop();
    this.thumbnails.clear();
    for (const end of this.ends) end();
  }
}
