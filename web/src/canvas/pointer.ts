import type { LinkId, NodeId } from "../document/types";
import type { Actions } from "./actions";
import { dragPort } from "./borderPorts";
import { isBorder } from "./edit";
import { EdgePull } from "./edgePull";
import { click, pan, type Gesture, type GestureContext } from "./gesture";
import { addBend, branchAt, dragBend, removeBend, showSprout, sproutAt, throughPortal, type Branch } from "./bends";
import { dragLink, unlink } from "./gestureLinks";
import { dragSelection, marquee, resizeGroup, resizeNode } from "./gestureNodes";
import { hit, linksAt, portPoint, portRef, type PortRef, type Target } from "./hit";
import { fromField, interactive, quieten, scrolls } from "./presses";
import type { Stage } from "./stage";
import { say } from "./text";

const THRESHOLD = 3;
/** A finger that taps rolls by some pixels. */
const TAP_THRESHOLD = 10;
const WHEEL_LINE = 16;
const LONG_PRESS_MS = 500;

/** Turns pointer, wheel and touch events of the host into gestures. Gives the function that ends it. */
export class Pointer {
  /** While the space bar is down every drag pans. */
  space = false;
  private gesture: Gesture | undefined;
  private pressed: { id: number; x: number; y: number; moved: boolean } | undefined;
  private readonly fingers = new Map<number, { x: number; y: number }>();
  private readonly abort = new AbortController();
  private press: ReturnType<typeof setTimeout> | undefined;
  private pressedLong = 0;
  /** A link begun with a click or tap on a port: the next one says where it goes. */
  private armed: Gesture | undefined;
  private armedLinked = false;
  private pinched = false;

  private readonly pull: EdgePull;

  constructor(
    private readonly stage: Stage,
    private readonly actions: () => Actions,
  ) {
    this.pull = new EdgePull(stage);
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
    return this.gesture !== undefined || this.armed !== undefined;
  }

  /** Takes back what the gesture under way has done. */
  cancel(): void {
    const { gesture, armed } = this;
    clearTimeout(this.press);
    this.pull.stop();
    this.gesture = this.armed = undefined;
    this.pressed = undefined;
    this.fingers.clear();
    this.pinched = false;
    gesture?.cancel();
    armed?.cancel();
  }

  private down(event: PointerEvent): void {
    if (event.pointerType === "touch") {
      this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      clearTimeout(this.press);
      if (this.fingers.size === 1 && !fromField(event)) this.press = setTimeout(() => this.longPress(event), LONG_PRESS_MS);
      if (this.fingers.size > 1) {
        this.pinched = true;
        this.gesture?.cancel();
        this.gesture = undefined;
        return;
      }
    }
    const middle = event.button === 1;
    if (this.gesture !== undefined) return;
    if (!middle && interactive(event)) {
      if (this.armed === undefined || event.button !== 0) return;
      quieten(event, this.stage.parts.host);
    }
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
    const { stage, actions } = context;
    if (event.button === 1 || this.space || actions.hand) return pan(context, event);
    if (this.armed !== undefined) return this.finishArmed(context, event);
    const target = this.targetOf(event);
    const touch = event.pointerType === "touch";
    if (target.kind === "empty") {
      if (!touch) return marquee(context, event.shiftKey);
      const panning = pan(context, event);
      return { ...panning, end: (at, e, moved) => (panning.end(at, e, moved), moved ? undefined : stage.selection.set({})) };
    }
    if (actions.readOnly) return this.look(context, target, event);
    return this.edit(context, target, event);
  }

  /** What a pointer is on. The name of a port belongs to it: the pointer shows so, and a finger needs the room. */
  private targetOf(event: MouseEvent): Target {
    const { stage } = this;
    const port = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-port]") : null;
    const node = port?.closest<HTMLElement>("[data-node]")?.dataset["node"];
    const name = port?.dataset["port"];
    if (node !== undefined && name !== undefined) return { kind: "port", port: portRef(node, name) };
    const at = stage.pointOf(event);
    return sproutAt(stage, at) ?? hit(stage.scene, at.x, at.y, stage.camera.zoom, event instanceof PointerEvent && event.pointerType === "touch");
  }

  /** The second click or tap of a link; a drag in between moves the view. */
  private finishArmed(context: GestureContext, event: PointerEvent): Gesture {
    const panning = pan(context, event);
    return {
      ...panning,
      end: (at, e, moved) => {
        panning.end(at, e, moved);
        const { armed } = this;
        if (moved || armed === undefined) return;
        this.armed = undefined;
        armed.move(at, e);
        // Pulling a link off by accident takes a drag, not two clicks.
        if (this.armedLinked && this.targetOf(e).kind === "empty") armed.cancel();
        else armed.end(at, e, true);
      },
    };
  }

  /** A link that is dragged, or begun with a click and ended with another. */
  private link(context: GestureContext, port: PortRef, event: PointerEvent, branch?: Branch): Gesture {
    if (isBorder(port.node) && event.target instanceof Element && event.target.closest(".port-name") !== null) return dragPort(context, port, () => dragLink(context, port, event.shiftKey));
    const drag = dragLink(context, port, event.shiftKey && branch === undefined, branch);
    return {
      ...drag,
      end: (at, e, moved) => {
        if (moved) return drag.end(at, e, moved);
        this.armed = drag;
        this.armedLinked = port.side === "input" && linksAt(this.stage.scene, port).length > 0;
        drag.move(branch?.at ?? portPoint(this.stage.scene, port) ?? at, e);
        this.stage.redraw();
        this.stage.ui.announce(say("canvas.armed", "Now choose where the link goes, or press Esc"));
      },
    };
  }

  /** A new link from a place on another. */
  private branch(context: GestureContext, target: Target, event: PointerEvent): Gesture {
    const branch = branchAt(context.stage, target, context.start);
    return branch === undefined ? click(() => undefined) : this.link(context, branch.port, event, branch);
  }

  /** The middle of a link, or a tag of a portal: a click opens its menu, a drag draws a link from there. */
  private marker(context: GestureContext, target: Target, event: PointerEvent): Gesture {
    let drag: Gesture | undefined;
    return {
      edges: true,
      move: (at, e) => (drag ??= this.branch(context, target, event)).move(at, e),
      end: (at, e, moved) => (moved ? drag?.end(at, e, moved) : context.actions.onContextMenu(target, at, { x: e.clientX, y: e.clientY })),
      cancel: () => drag?.cancel(),
    };
  }

  /** What a press does where nothing may be changed: it selects or pans. */
  private look(context: GestureContext, target: Target, event: PointerEvent): Gesture {
    if ("id" in target && target.kind !== "groupTitle" && target.kind !== "groupResize") this.pick(target.id, event);
    return pan(context, event);
  }

  private edit(context: GestureContext, target: Exclude<Target, { kind: "empty" }>, event: PointerEvent): Gesture {
    const { stage } = context;
    switch (target.kind) {
      case "port":
        if (event.altKey && (event.ctrlKey || event.metaKey)) return click(() => unlink(stage, linksAt(stage.scene, target.port).map((link) => link.id)));
        return this.link(context, target.port, event);
      case "resize":
        return resizeNode(context, target.id);
      case "bend":
        if (event.altKey) return click(() => removeBend(stage, target.link, target.bend));
        return event.shiftKey ? this.branch(context, target, event) : dragBend(context, target.link, target.bend);
      case "sprout":
        return this.branch(context, target, event);
      case "marker":
        this.pickLink(target.link);
        return this.marker(context, target, event);
      case "link":
        this.pickLink(target.link);
        return click((at) => (event.altKey ? addBend(stage, target.link, target.segment, at) : undefined));
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
    const finger = this.fingers.get(event.pointerId);
    if (finger !== undefined && this.pinched) return this.pinch(event);
    if (finger !== undefined && Math.hypot(event.clientX - finger.x, event.clientY - finger.y) > TAP_THRESHOLD) clearTimeout(this.press);
    const { pressed, gesture } = this;
    if (pressed === undefined || gesture === undefined || pressed.id !== event.pointerId) return this.hover(event);
    if (!pressed.moved) {
      const still = event.pointerType === "touch" ? TAP_THRESHOLD : THRESHOLD;
      if (Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < still) return;
      pressed.moved = true;
      clearTimeout(this.press);
      // Captured only now: a press that stays a click must reach the element under it.
      this.stage.parts.host.setPointerCapture(event.pointerId);
    }
    gesture.move(this.stage.pointOf(event), event);
    if (gesture.edges === true) this.pull.follow(event, gesture);
  }

  private hover(event: PointerEvent): void {
    if (event.pointerType === "touch" || event.buttons !== 0) return;
    const { host } = this.stage.parts;
    this.armed?.move(this.stage.pointOf(event), event);
    let cursor = "";
    let bend: Target = { kind: "empty" };
    if (this.space) cursor = "grab";
    else if (!interactive(event)) {
      const target = this.targetOf(event);
      const { kind } = target;
      const port = target.kind === "port" ? linksAt(this.stage.scene, target.port).map((link) => link.id) : [];
      this.stage.hoverLinks("link" in target ? [target.link] : port);
      if (this.armed === undefined && !this.actions().readOnly) bend = target;
      if (kind === "port" || kind === "sprout") cursor = "crosshair";
      else if (kind === "resize" || kind === "groupResize") cursor = "nwse-resize";
      else if (kind === "marker" || kind === "link" || kind === "collapse") cursor = "pointer";
      else if (kind === "bend" || kind === "groupTitle") cursor = "move";
    }
    if (this.armed === undefined) showSprout(this.stage, bend);
    if (host.style.cursor !== cursor) host.style.cursor = cursor;
  }

  private pinch(event: PointerEvent): void {
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    const before = this.fingers.get(event.pointerId);
    if (before === undefined) return;
    const now = { x: event.clientX, y: event.clientY };
    this.fingers.set(event.pointerId, now);
    const { camera, parts } = this.stage;
    // The finger that stays when the other is lifted goes on moving the view.
    if (other === undefined) return camera.panBy(before.x - now.x, before.y - now.y);
    const box = parts.host.getBoundingClientRect();
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    const is = Math.hypot(now.x - other.x, now.y - other.y);
    camera.panBy((before.x - now.x) / 2, (before.y - now.y) / 2);
    if (was > 0) camera.zoomAt(is / was, (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
  }

  private up(event: PointerEvent): void {
    clearTimeout(this.press);
    this.fingers.delete(event.pointerId);
    if (this.fingers.size === 0) this.pinched = false;
    const { pressed, gesture } = this;
    if (pressed === undefined || gesture === undefined || pressed.id !== event.pointerId) return;
    this.gesture = undefined;
    this.pressed = undefined;
    this.pull.stop();
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
    const target = this.targetOf(event);
    if (target.kind === "title" || target.kind === "body") {
      const node = stage.scene.records[stage.scene.index.get(target.id) ?? -1];
      if (node !== undefined && stage.specs.isSubgraph(node) && target.kind === "body") return actions.onOpenSubgraph(node.type, node.id);
      if (target.kind === "title" && !actions.readOnly && !isBorder(target.id)) return stage.ui.set({ renaming: target.id });
    }
    if (target.kind === "marker") return throughPortal(stage, target.link, at.x);
    if (actions.readOnly) return;
    if (target.kind === "port" && isBorder(target.port.node)) stage.ui.set({ renamingPort: target.port });
    else if (target.kind === "link") addBend(stage, target.link, target.segment, at);
    else if (target.kind === "groupTitle") stage.ui.set({ renamingGroup: target.id });
    else if (target.kind === "empty") actions.onOpenSearch(at, { x: event.clientX, y: event.clientY });
  }

  private menu(event: MouseEvent): void {
    if (fromField(event)) return;
    event.preventDefault();
    // Some browsers ask for the menu of a long press themselves, others do not.
    if (performance.now() - this.pressedLong < 1000) return;
    this.cancel();
    const { stage } = this;
    const byKey = event.target === stage.parts.host && event instanceof PointerEvent && event.pointerType === "" && event.button === 0;
    if (byKey) return this.menuOfFocused();
    this.menuAt(event);
  }

  private longPress(event: PointerEvent): void {
    this.pressedLong = performance.now();
    this.cancel();
    this.menuAt(event);
  }

  private menuAt(event: MouseEvent): void {
    const { stage } = this;
    const at = stage.pointOf(event);
    const target = this.targetOf(event);
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
