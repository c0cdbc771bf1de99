import type { NodeId } from "../document/types";
import { NEAR_FROM, type Camera } from "./camera";
import { MOUNTED, STATUS, TRANSLUCENT, type Scene } from "./scene";

const MARGIN = 120;
/** A node leaves the DOM only when it is this much further out: panning to and fro mounts nothing. */
const KEEP = 240;
const PER_FRAME = 10;
/** While the view is zoomed quickly what is drawn will do. */
const PER_FRAME_ZOOMING = 2;
const QUICK = 0.02;

/** Which nodes are in the DOM, and where. React draws the list; places and sizes are written here, past React. */
export class Mounts {
  /** The node the keyboard is at: it stays. */
  focused: NodeId | undefined;
  private zoom = 1;
  private list: readonly NodeId[] = [];
  private readonly wanted = new Set<NodeId>();
  private readonly elements = new Map<NodeId, HTMLElement>();
  private readonly listeners = new Set<() => void>();
  private readonly pinned = new Set<NodeId>();
  /** Called with each element that comes, so that a gesture under way can mark it. */
  onMount: ((id: NodeId, element: HTMLElement) => void) | undefined;

  constructor(
    private readonly scene: Scene,
    private readonly camera: Camera,
    /** What is painted has to change now, or is missing out of view. */
    private readonly redraw: () => void,
    private readonly stale: () => void,
    private readonly request: () => void,
  ) {}

  readonly snapshot = (): readonly NodeId[] => this.list;
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  element(id: NodeId): HTMLElement | undefined {
    return this.elements.get(id);
  }
  has(id: NodeId): boolean {
    return this.elements.has(id);
  }
  all(): Iterable<[NodeId, HTMLElement]> {
    return this.elements;
  }

  /** Keeps a node in the DOM wherever the view goes, e.g. while its title is edited. */
  hold(id: NodeId, on: boolean): void {
    if (on) this.pinned.add(id);
    else this.pinned.delete(id);
    this.request();
  }

  register(id: NodeId, element: HTMLElement | null): void {
    if (element === null) {
      this.elements.delete(id);
      this.scene.mark(id, MOUNTED, false);
      if (this.scene.index.has(id)) this.stale();
    } else {
      this.elements.set(id, element);
      this.scene.mark(id, MOUNTED, true);
      this.placeOne(id);
      this.onMount?.(id, element);
      // What is drawn lies under its node, which hides it, unless that lets it shine through.
      if (this.translucent(id)) this.redraw();
      else this.request();
    }
  }

  private translucent(id: NodeId): boolean {
    const i = this.scene.index.get(id) ?? -1;
    return ((this.scene.flags[i] ?? 0) & TRANSLUCENT) !== 0 || this.scene.status[i] === STATUS.blocked;
  }

  /** Marks and places everything mounted anew, after the scene was rebuilt. */
  again(): void {
    for (const id of this.elements.keys()) {
      this.scene.mark(id, MOUNTED, true);
      this.placeOne(id);
    }
  }

  place(ids: Iterable<NodeId>): void {
    for (const id of ids) this.placeOne(id);
  }

  placeOne(id: NodeId): void {
    const element = this.elements.get(id);
    const i = this.scene.index.get(id);
    if (element === undefined || i === undefined) return;
    element.style.transform = `translate(${this.scene.x[i] ?? 0}px, ${this.scene.y[i] ?? 0}px)`;
    element.style.width = `${this.scene.w[i] ?? 0}px`;
    element.style.height = `${this.scene.h[i] ?? 0}px`;
  }

  private stays(id: NodeId): boolean {
    return this.pinned.has(id) || this.elements.get(id)?.contains(document.activeElement) === true;
  }

  /** Brings the list in line with the view, a few nodes a frame; says whether some are still to come. */
  update(): boolean {
    const { scene, camera, wanted } = this;
    const near = camera.zoom >= NEAR_FROM;
    let budget = Math.abs(camera.zoom / this.zoom - 1) > QUICK ? PER_FRAME_ZOOMING : PER_FRAME;
    this.zoom = camera.zoom;
    let changed = false;
    for (const id of wanted) {
      const i = scene.index.get(id);
      if (i !== undefined && near && this.inView(i, KEEP)) continue;
      if (i !== undefined && this.stays(id)) continue;
      if (i !== undefined && budget-- <= 0) return this.tell(changed, true);
      wanted.delete(id);
      changed = true;
    }
    if (!near) {
      for (const id of this.pinned) changed = this.want(id) || changed;
      return this.tell(changed, false);
    }
    let more = false;
    const { x, y, w, h } = scene;
    const margin = MARGIN / camera.zoom;
    const left = camera.x - margin;
    const top = camera.y - margin;
    const right = camera.x + camera.width / camera.zoom + margin;
    const bottom = camera.y + camera.height / camera.zoom + margin;
    for (let i = 0; i < scene.count; i++) {
      const nx = x[i] ?? 0;
      const ny = y[i] ?? 0;
      if (nx > right || ny > bottom || nx + (w[i] ?? 0) < left || ny + (h[i] ?? 0) < top) continue;
      const id = scene.ids[i] as NodeId;
      if (wanted.has(id)) continue;
      if (budget-- <= 0) {
        more = true;
        break;
      }
      changed = this.want(id) || changed;
    }
    for (const id of this.pinned) changed = this.want(id) || changed;
    return this.tell(changed, more);
  }

  private want(id: NodeId): boolean {
    if (this.wanted.has(id) || !this.scene.index.has(id)) return false;
    this.wanted.add(id);
    return true;
  }

  private inView(i: number, margin: number): boolean {
    const { camera, scene } = this;
    const m = margin / camera.zoom;
    const nx = scene.x[i] ?? 0;
    const ny = scene.y[i] ?? 0;
    return (
      nx <= camera.x + camera.width / camera.zoom + m && ny <= camera.y + camera.height / camera.zoom + m &&
      nx + (scene.w[i] ?? 0) >= camera.x - m && ny + (scene.h[i] ?? 0) >= camera.y - m
    );
  }

  private tell(changed: boolean, more: boolean): boolean {
    if (changed) {
      this.list = [...this.wanted];
      this.listeners.forEach((listener) => listener());
    }
    return more;
  }
}
