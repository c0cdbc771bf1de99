import type { LinkId, NodeId } from "../document/types";
import type { Actions } from "./actions";
import { click, pan, type Gesture, type GestureContext } from "./gesture";
import { addBend, dragBend, dragLink, removeBend, unlink } from "./gestureLinks";
import { dragSelection, marquee, resizeGroup, resizeNode } from "./gestureNodes";
import { hit, linksAt, type Target } from "./hit";
import type { Stage } from "./stage";
import { say } from "./text";

const THRESHOLD = 3;
const WHEEL_LINE = 16;
const EDGE = 24;

/** True when a press belongs to a widget and not to the canvas. */
function interactive(event: Event): boolean {
  return event.target instanceof Element && event.target.closest("[data-interactive]") !== null;
}

/** Turns pointer, wheel and touch events of the host into gestures. Gives the function that ends it. */
export class Pointer {
  /** While the space bar is down every drag pans. */
  space = false;
  private gesture: Gesture | undefined;
  private pressed: { id: number; x: number; y: number; moved: boolean } | undefined;
  private readonly fingers = new Map<number, { x: number; y: number }>();
  private readonly abort = new AbortController();
  private last: PointerEvent | undefined;
  private pulling = 0;

  constructor(
    private readonly stage: Stage,
    private readonly actions: () => Actions,
  ) {
    const { host } = stage.parts;
    const { signal } = this.abort;
    host.addEventListener("pointerdown", (event) => this.down(event), { signal });
    host.addEventListener("pointermove", (event) => this.move(event), { signal });
    host.addEventListener("pointerup", (event) => this.up(event), { signal });
    host.addEventListener("pointercancel", () => this.cancel(), { signal });
    host.addEventListener("wheel", (event) => this.wheel(event), { signal, passive: false });
    host.addEventListener("dblclick", (event) => this.double(event), { signal });
    host.addEventListener("contextmenu", (event) => this.menu(event), { signal });
  }

  stop(): void {
    this.cancel();
    this.abort.abort();
  }

  get busy(): boolean {
    return this.gesture !== undefined;
  }

  /** Takes back what the gesture under way has done. */
  cancel(): void {
    const { gesture } = this;
    this.gesture = undefined;
    this.pressed = undefined;
    this.fingers.clear();
    gesture?.cancel();
  }

  private down(event: PointerEvent): void {
    if (event.pointerType === "touch") {
      this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (this.fingers.size === 2) {
        this.gesture?.cancel();
        this.gesture = undefined;
        return;
      }
    }
    const middle = event.button === 1;
    if (this.gesture !== undefined || (!middle && interactive(event))) return;
    if (event.button !== 0 && !middle) return;
    if (middle) event.preventDefault();
    const start = this.stage.pointOf(event);
    const context: GestureContext = { stage: this.stage, actions: this.actions(), start };
    this.gesture = this.choose(context, event);
    if (this.gesture === undefined) return;
    this.pressed = { id: event.pointerId, x: event.clientX, y: event.clientY, moved: false };
    if (!(event.target instanceof HTMLElement && event.target.matches("input, textarea"))) this.stage.parts.host.focus({ preventScroll: true });
  }

  private choose(context: GestureContext, event: PointerEvent): Gesture | undefined {
    const { stage, actions, start } = context;
    if (event.button === 1 || this.space || actions.hand) return pan(context, event);
    const target = hit(stage.scene, start.x, start.y, stage.camera.zoom);
    const touch = event.pointerType === "touch";
    if (target.kind === "empty") {
      if (!touch) return marquee(context, event.shiftKey);
      const panning = pan(context, event);
      return { ...panning, end: (at, e, moved) => (panning.end(at, e, moved), moved ? undefined : stage.selection.set({})) };
    }
    if (actions.readOnly) return this.look(context, target, event);
    return this.edit(context, target, event);
  }

  /** What a press does where nothing may be changed: it selects or pans. */
  private look(context: GestureContext, target: Target, event: PointerEvent): Gesture {
    if ("id" in target && target.kind !== "groupTitle" && target.kind !== "groupResize") this.pick(target.id, event);
    return pan(context, event);
  }

  private edit(context: GestureContext, target: Exclude<Target, { kind: "empty" }>, event: PointerEvent): Gesture {
    const { stage, actions } = context;
    switch (target.kind) {
      case "port":
        if (event.altKey && (event.ctrlKey || event.metaKey)) return click(() => unlink(stage, linksAt(stage.scene, target.port).map((link) => link.id)));
        return dragLink(context, target.port, event.shiftKey);
      case "resize":
        return resizeNode(context, target.id);
      case "bend":
        return event.altKey ? click(() => removeBend(stage, target.link, target.bend)) : dragBend(context, target.link, target.bend);
      case "marker":
        this.pickLink(target.link);
        return click((at, e) => actions.onContextMenu(target, at, { x: e.clientX, y: e.clientY }));
      case "link":
        this.pickLink(target.link);
        return click(() => undefined);
      case "groupResize":
        stage.selection.set({ groups: new Set([target.id]) });
        return resizeGroup(context, target.id);
      case "groupTitle":
        if (!stage.selection.current.groups.has(target.id)) stage.selection.set({ groups: new Set([target.id]) });
        return dragSelection(context, undefined, false);
      default:
        return this.node(context, target, event);
    }
  }

  private node(context: GestureContext, target: { kind: string; id: NodeId }, event: PointerEvent): Gesture {
    const { stage } = context;
    const { selection, document, graphId: graph } = stage;
    const already = selection.current.nodes.has(target.id);
    this.pick(target.id, event);
    const drag = dragSelection(context, target.id, event.altKey);
    return {
      ...drag,
      end: (at, e, moved) => {
        drag.end(at, e, moved);
        if (moved) return;
        // What was selected stays so until it is clear that this is no drag.
        if (already && (e.shiftKey || e.ctrlKey || e.metaKey)) selection.toggleNode(target.id);
        else if (target.kind === "collapse") {
          const collapsed = document.node(graph, target.id)?.collapsed === true;
          document.apply({ do: "updateNode", graph, id: target.id, set: { collapsed: collapsed ? undefined : true } }, say("canvas.collapse", "Collapse node"));
        } else if (already && selection.current.nodes.size > 1) selection.set({ nodes: new Set([target.id]) });
      },
    };
  }

  private pick(id: NodeId, event: PointerEvent): void {
    const { selection } = this.stage;
    const add = event.shiftKey || event.ctrlKey || event.metaKey;
    if (!selection.current.nodes.has(id)) selection.set(add ? { ...selection.current, nodes: new Set([...selection.current.nodes, id]) } : { nodes: new Set([id]) });
    selection.focus(id);
  }

  private pickLink(id: LinkId): void {
    this.stage.selection.set({ links: new Set([id]) });
  }

  private move(event: PointerEvent): void {
    if (this.fingers.has(event.pointerId) && this.fingers.size === 2) return this.pinch(event);
    const { pressed, gesture } = this;
    if (pressed === undefined || gesture === undefined || pressed.id !== event.pointerId) return this.hover(event);
    if (!pressed.moved) {
      if (Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < THRESHOLD) return;
      pressed.moved = true;
      // Captured only now: a press that stays a click must reach the element under it.
      this.stage.parts.host.setPointerCapture(event.pointerId);
    }
    gesture.move(this.stage.pointOf(event), event);
    this.last = event;
    if (gesture.edges === true && this.edgePull(event) !== undefined && this.pulling === 0) this.pulling = requestAnimationFrame(() => this.pullAtEdge());
  }

  /** How fast the view follows a pointer at its edge, pixels a frame. */
  private edgePull(event: PointerEvent): { x: number; y: number } | undefined {
    const box = this.stage.parts.host.getBoundingClientRect();
    const pull = (at: number, low: number, high: number): number => (at < low + EDGE ? at - low - EDGE : at > high - EDGE ? at - high + EDGE : 0) / 3;
    const x = pull(event.clientX, box.left, box.right);
    const y = pull(event.clientY, box.top, box.bottom);
    return x === 0 && y === 0 ? undefined : { x: Math.max(-EDGE, Math.min(EDGE, x)), y: Math.max(-EDGE, Math.min(EDGE, y)) };
  }

  private pullAtEdge(): void {
    this.pulling = 0;
    const { last, gesture } = this;
    const pull = last === undefined || gesture === undefined ? undefined : this.edgePull(last);
    if (last === undefined || gesture === undefined || pull === undefined) return;
    this.stage.camera.panBy(pull.x, pull.y);
    gesture.move(this.stage.pointOf(last), last);
    this.pulling = requestAnimationFrame(() => this.pullAtEdge());
  }

  private hover(event: PointerEvent): void {
    if (event.pointerType === "touch" || event.buttons !== 0) return;
    const { host } = this.stage.parts;
    let cursor = "";
    if (this.space) cursor = "grab";
    else if (!interactive(event)) {
      const at = this.stage.pointOf(event);
      const { kind } = hit(this.stage.scene, at.x, at.y, this.stage.camera.zoom);
      if (kind === "port") cursor = "crosshair";
      else if (kind === "resize" || kind === "groupResize") cursor = "nwse-resize";
      else if (kind === "marker" || kind === "link" || kind === "collapse") cursor = "pointer";
      else if (kind === "bend" || kind === "groupTitle") cursor = "move";
    }
    if (host.style.cursor !== cursor) host.style.cursor = cursor;
  }

  private pinch(event: PointerEvent): void {
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    const before = this.fingers.get(event.pointerId);
    if (other === undefined || before === undefined) return;
    const now = { x: event.clientX, y: event.clientY };
    const { camera, parts } = this.stage;
    const box = parts.host.getBoundingClientRect();
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    const is = Math.hypot(now.x - other.x, now.y - other.y);
    camera.panBy((before.x - now.x) / 2, (before.y - now.y) / 2);
    if (was > 0) camera.zoomAt(is / was, (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
    this.fingers.set(event.pointerId, now);
  }

  private up(event: PointerEvent): void {
    this.fingers.delete(event.pointerId);
    const { pressed, gesture } = this;
    if (pressed === undefined || gesture === undefined || pressed.id !== event.pointerId) return;
    this.gesture = undefined;
    this.pressed = undefined;
    gesture.end(this.stage.pointOf(event), event, pressed.moved);
  }

  private wheel(event: WheelEvent): void {
    // A list or a long text under the pointer scrolls itself, as long as it can.
    if (!event.ctrlKey && event.target instanceof Element && scrolls(event.target, event.deltaY)) return;
    event.preventDefault();
    const { camera, parts } = this.stage;
    const unit = event.deltaMode === 1 ? WHEEL_LINE : 1;
    if (event.shiftKey && !event.ctrlKey) return camera.panBy((event.deltaX + event.deltaY) * unit, 0);
    // Two fingers on a trackpad move sideways too; a mouse wheel does not.
    if (!event.ctrlKey && event.deltaX !== 0) return camera.panBy(event.deltaX * unit, event.deltaY * unit);
    const box = parts.host.getBoundingClientRect();
    const speed = event.ctrlKey ? 0.01 : 0.0016;
    camera.zoomAt(Math.exp(-event.deltaY * unit * speed), event.clientX - box.left, event.clientY - box.top);
  }

  private double(event: MouseEvent): void {
    if (interactive(event)) return;
    const { stage } = this;
    const actions = this.actions();
    const at = stage.pointOf(event);
    const target = hit(stage.scene, at.x, at.y, stage.camera.zoom);
    if (target.kind === "title" || target.kind === "body") {
      const node = stage.scene.records[stage.scene.index.get(target.id) ?? -1];
      if (node !== undefined && stage.specs.isSubgraph(node) && target.kind === "body") return actions.onOpenSubgraph(node.type, node.id);
      if (target.kind === "title" && !actions.readOnly && node?.type !== "") return stage.ui.set({ renaming: target.id });
    }
    if (actions.readOnly) return;
    if (target.kind === "link") addBend(stage, target.link, target.segment, at);
    else if (target.kind === "groupTitle") stage.ui.set({ renamingGroup: target.id });
    else if (target.kind === "empty") actions.onOpenSearch(at, { x: event.clientX, y: event.clientY });
  }

  private menu(event: MouseEvent): void {
    if (event.target instanceof Element && event.target.closest("input, textarea, [data-own-menu]") !== null) return;
    event.preventDefault();
    this.cancel();
    const { stage } = this;
    const byKey = event.target === stage.parts.host && event instanceof PointerEvent && event.pointerType === "" && event.button === 0;
    if (byKey) return this.menuOfFocused();
    const at = stage.pointOf(event);
    const target = hit(stage.scene, at.x, at.y, stage.camera.zoom);
    if ("id" in target && target.kind !== "groupTitle" && target.kind !== "groupResize" && !stage.selection.current.nodes.has(target.id)) {
      stage.selection.set({ nodes: new Set([target.id]) });
    }
    this.actions().onContextMenu(target, at, { x: event.clientX, y: event.clientY });
  }

  /** The menu key opens the menu of the node that the keyboard is at. */
  private menuOfFocused(): void {
    const { stage } = this;
    const { focused, current } = stage.selection;
    const place = focused === undefined ? undefined : stage.scene.box(focused);
    if (focused === undefined || place === undefined) return;
    if (!current.nodes.has(focused)) stage.selection.set({ nodes: new Set([focused]) });
    const screen = stage.camera.toScreen(place.x + 20, place.y + 20);
    const box = stage.parts.host.getBoundingClientRect();
    this.actions().onContextMenu({ kind: "title", id: focused }, place, { x: box.left + screen.x, y: box.top + screen.y });
  }
}

function scrolls(start: Element, deltaY: number): boolean {
  const box = start.closest<HTMLElement>("[data-scrolls]");
  if (box === null || box.scrollHeight <= box.clientHeight) return false;
  return deltaY > 0 ? box.scrollTop + box.clientHeight < box.scrollHeight - 1 : box.scrollTop > 0;
}
