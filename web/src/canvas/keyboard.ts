import type { NodeId } from "../document/types";
import type { Actions } from "./actions";
import { borderKey } from "./borderPorts";
import { apply, deleteCommands, isBorder, moveCommands } from "./edit";
import { neighbour, portRef, type PortRef } from "./hit";
import { GRID } from "./layout";
import type { Pointer } from "./pointer";
import type { Stage } from "./stage";
import { STATUS } from "./scene";
import { say } from "./text";

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};
const STOPS = ":is(button, input, textarea):not(:disabled, [hidden])";
const FIELDS = "input, textarea, select, [contenteditable]";

/** Says in words what a node is: its title, type, state and links. */
export function describe(stage: Stage, id: NodeId): string {
  const { scene } = stage;
  const i = scene.index.get(id);
  const node = i === undefined ? undefined : scene.records[i];
  if (i === undefined || node === undefined || !stage.document.workflow.graphs.has(stage.graphId)) return "";
  const { in: into, out } = stage.document.linksOf(stage.graphId, id);
  const parts = [scene.titles[i] ?? "", say("canvas.nodeLinks", "{inputs} inputs linked, {outputs} output links", { inputs: into.length, outputs: out.length })];
  if (node.mode === "mute") parts.push(say("canvas.muted", "muted"));
  if (node.mode === "bypass") parts.push(say("canvas.bypassed", "bypassed"));
  if (node.collapsed === true) parts.push(say("canvas.collapsed", "collapsed"));
  if (scene.status[i] === STATUS.failed) parts.push(say("canvas.failed", "failed"));
  if (stage.selection.current.nodes.has(id)) parts.push(say("canvas.isSelected", "selected"));
  return parts.join(", ");
}

/** Shows the signal through the focused node, or everything again. */
export function toggleTrace(stage: Stage): void {
  const { focused, current } = stage.selection;
  const from = current.nodes.size === 1 ? [...current.nodes][0] : focused;
  if (from === undefined && stage.ui.state.traced === undefined) return;
  stage.trace(stage.ui.state.traced === undefined ? from : undefined);
  const { traced } = stage.ui.state;
  stage.ui.announce(traced === undefined ? say("canvas.untraced", "All nodes") : say("canvas.traced", "{n} nodes on the way of this signal", { n: traced.size }));
}

/** The graph under the keyboard: one tab stop, arrows from node to node, Enter into a node and Esc out of it. */
export class Keyboard {
  private readonly abort = new AbortController();

  constructor(
    private readonly stage: Stage,
    private readonly pointer: Pointer,
    private readonly actions: () => Actions,
  ) {
    const { host } = stage.parts;
    const { signal } = this.abort;
    host.addEventListener("keydown", (event) => this.down(event), { signal });
    host.addEventListener("keyup", (event) => this.up(event), { signal });
    host.addEventListener("blur", () => (pointer.space = false), { signal });
    host.addEventListener("focusin", (event) => this.focusIn(event), { signal });
  }

  stop(): void {
    this.abort.abort();
  }

  private up(event: KeyboardEvent): void {
    if (event.key !== " ") return;
    this.pointer.space = false;
    // Space alone selects; Space held while dragging pans, and then it selects nothing.
    if (event.target === this.stage.parts.host && !this.panned) this.toggle();
  }
  private panned = false;

  private focusIn(event: FocusEvent): void {
    const { host } = this.stage.parts;
    const node = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-node]")?.dataset["node"] : undefined;
    const { entered } = this.stage.ui.state;
    if (event.target === host) {
      if (entered !== undefined) this.stage.ui.set({ entered: undefined });
      if (this.stage.selection.focused === undefined) this.focusFirst();
    } else if (node !== undefined && node !== entered) {
      this.stage.ui.set({ entered: node });
      this.stage.selection.focus(node);
    }
  }

  private focusFirst(): void {
    const { scene, camera, selection } = this.stage;
    const chosen = [...selection.current.nodes][0];
    let best = Infinity;
    let first = chosen;
    for (let i = 0; first === undefined || chosen === undefined ? i < scene.count : false; i++) {
      const distance = Math.hypot((scene.x[i] ?? 0) - camera.x - 40, (scene.y[i] ?? 0) - camera.y - 40);
      if (distance < best) {
        best = distance;
        first = scene.ids[i];
      }
    }
    if (first !== undefined) selection.focus(first);
  }

  private down(event: KeyboardEvent): void {
    const { stage } = this;
    if (event.key === "Escape") return this.escape(event);
    if (event.target !== stage.parts.host) return this.inside(event);
    if (event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow !== undefined && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      if (event.shiftKey) this.nudge(arrow[0], arrow[1]);
      else this.go(arrow[0], arrow[1]);
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    this.key(event);
  }

  private key(event: KeyboardEvent): void {
    const { stage } = this;
    const { focused } = stage.selection;
    switch (event.key) {
      case " ":
        event.preventDefault();
        if (!event.repeat) this.panned = false;
        this.pointer.space = true;
        return;
      case "[":
      case "]":
        event.preventDefault();
        return this.follow(event.key === "]");
      case "Enter":
        event.preventDefault();
        if (focused !== undefined) this.enter(focused);
        return;
      case "c":
      case "C":
        if (focused !== undefined && !this.actions().readOnly) {
          event.preventDefault();
          this.listPartners({ node: focused, side: "output", index: 0 });
        }
        return;
      case "t":
      case "T":
        event.preventDefault();
        return toggleTrace(stage);
      case "Delete":
      case "Backspace":
        event.preventDefault();
        return this.remove();
      case "F2":
        event.preventDefault();
        if (this.renamePortal()) return;
        if (focused !== undefined && !isBorder(focused) && !this.actions().readOnly) stage.ui.set({ renaming: focused });
    }
  }

  /** Keys while a widget or a port of a node has the focus. */
  private inside(event: KeyboardEvent): void {
    const { stage } = this;
    const target = event.target as HTMLElement;
    const port = target.dataset["port"];
    const node = target.closest<HTMLElement>("[data-node]")?.dataset["node"];
    if (port !== undefined && node !== undefined && isBorder(node) && !this.actions().readOnly && borderKey(stage, portRef(node, port), event)) return event.preventDefault();
    if (port !== undefined && node !== undefined && (event.key === "c" || event.key === "C") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.listPartners(portRef(node, port));
    }
    if (event.key === "Tab" && node !== undefined) this.cycle(event, target, node);
    if (event.key === "Delete" && !target.matches(FIELDS)) this.remove();
  }

  /** Tab goes round within a node; Esc leads out of it. */
  private cycle(event: KeyboardEvent, target: HTMLElement, node: NodeId): void {
    const stops = [...(this.stage.mounts.element(node)?.querySelectorAll<HTMLElement>(STOPS) ?? [])].filter((stop) => stop.tabIndex >= 0);
    const at = stops.indexOf(target);
    if (at < 0 || (event.shiftKey ? at > 0 : at < stops.length - 1)) return;
    event.preventDefault();
    stops.at(event.shiftKey ? -1 : 0)?.focus({ preventScroll: true });
  }

  private escape(event: KeyboardEvent): void {
    const { stage } = this;
    if (event.defaultPrevented) return;
    if (this.pointer.busy) {
      this.pointer.cancel();
      event.preventDefault();
    } else if (event.target !== stage.parts.host) {
      event.preventDefault();
      stage.parts.host.focus({ preventScroll: true });
    } else if (stage.ui.state.traced !== undefined) {
      event.preventDefault();
      stage.trace(undefined);
    } else if (stage.selection.current.nodes.size + stage.selection.current.links.size + stage.selection.current.groups.size > 0) {
      event.preventDefault();
      stage.selection.set({});
    }
  }

  /** Moves the focus to a node and brings it into view. */
  focus(id: NodeId): void {
    const { stage } = this;
    stage.selection.focus(id);
    const box = stage.scene.box(id);
    if (box !== undefined) stage.camera.reveal(box);
    stage.ui.announce(describe(stage, id));
  }

  private go(dx: number, dy: number): void {
    const { selection, scene } = this.stage;
    if (selection.focused === undefined || !scene.index.has(selection.focused)) {
      this.focusFirst();
      if (selection.focused !== undefined) this.focus(selection.focused);
      return;
    }
    const next = neighbour(scene, selection.focused, dx, dy);
    if (next !== undefined) this.focus(next);
  }

  /** Edits the name of the portal that alone is selected; says whether there is one. */
  private renamePortal(): boolean {
    const { stage } = this;
    const { nodes, links } = stage.selection.current;
    const [link] = nodes.size === 0 && links.size === 1 ? links : [];
    if (link === undefined || this.actions().readOnly || stage.document.graph(stage.graphId).links.get(link)?.portal === undefined) return false;
    stage.ui.set({ renamingLink: link });
    return true;
  }

  private follow(down: boolean): void {
    const { selection, document, graphId, ui } = this.stage;
    const [link] = selection.current.nodes.size === 0 ? selection.current.links : [];
    const chosen = link === undefined ? undefined : document.graph(graphId).links.get(link);
    // From a link to one of its ends, of which it may be the far one of a portal.
    if (chosen !== undefined) return this.focus(down ? chosen.to : chosen.from);
    if (selection.focused === undefined) return;
    const { in: into, out } = document.linksOf(graphId, selection.focused);
    const next = down ? out[0]?.to : into[0]?.from;
    if (next !== undefined) this.focus(next);
    else ui.announce(down ? say("canvas.noOut", "Nothing follows this node") : say("canvas.noIn", "Nothing feeds this node"));
  }

  private nudge(dx: number, dy: number): void {
    const { stage } = this;
    const { selection, document, graphId: graph, scene } = stage;
    if (this.actions().readOnly) return;
    const chosen = selection.current.nodes.size > 0 ? selection.current.nodes : new Set(selection.focused === undefined ? [] : [selection.focused]);
    const to = [...chosen].flatMap((id) => {
      const place = isBorder(id) ? scene.box(id) : document.node(graph, id);
      return place === undefined || ("pinned" in place && place.pinned === true) ? [] : [{ id, x: place.x + dx * GRID, y: place.y + dy * GRID }];
    });
    if (to.length === 0) return;
    apply(document, moveCommands(graph, to), say("canvas.move", "Move"));
    const box = scene.bounds(to.map((one) => one.id));
    if (box !== undefined) stage.camera.reveal(box);
    stage.ui.announce(say("canvas.moved", "Moved to {x}, {y}", { x: Math.round(to[0]?.x ?? 0), y: Math.round(to[0]?.y ?? 0) }));
  }

  private toggle(): void {
    const { selection, ui } = this.stage;
    if (selection.focused === undefined) return;
    selection.toggleNode(selection.focused);
    ui.announce(describe(this.stage, selection.focused));
  }

  private remove(): void {
    const { stage } = this;
    if (this.actions().readOnly) return;
    const { current, focused } = stage.selection;
    const empty = current.nodes.size + current.links.size + current.groups.size === 0;
    const what = empty && focused !== undefined ? { ...current, nodes: new Set([focused]) } : current;
    const next = focused === undefined ? undefined : (stage.document.linksOf(stage.graphId, focused).in[0]?.from ?? neighbour(stage.scene, focused, -1, 0));
    const commands = deleteCommands(stage.document.graph(stage.graphId), what);
    if (commands.length === 0) return;
    apply(stage.document, commands, say("canvas.delete", "Delete"));
    stage.selection.set({});
    stage.selection.focus(next !== undefined && stage.scene.index.has(next) ? next : undefined);
    stage.ui.announce(say("canvas.deleted", "Deleted"));
    stage.parts.host.focus({ preventScroll: true });
  }

  private listPartners(port: PortRef): void {
    const node = this.stage.document.node(this.stage.graphId, port.node);
    const found = port.side === "output" && node?.outputs.length === 0 ? { ...port, side: "input" as const } : port;
    this.stage.ui.set({ linkingPort: found });
  }

  /** Goes into a node: its first widget gets the focus, as soon as the node is in the DOM. */
  private enter(id: NodeId): void {
    const { stage } = this;
    const box = stage.scene.box(id);
    if (box === undefined) return;
    if (stage.camera.zoom < 0.6) stage.camera.centreOn(box.x + box.width / 2, box.y + box.height / 2, 1);
    stage.mounts.hold(id, true);
    stage.ui.set({ entered: id });
    let tries = 40;
    const attempt = (): void => {
      const element = stage.mounts.element(id);
      // The ports come before the widgets: Shift+Tab reaches them.
      const first = element?.querySelector<HTMLElement>("[data-interactive] :is(input, textarea, button)") ?? element?.querySelector<HTMLElement>("[data-port]");
      if (first !== null && first !== undefined) {
        first.focus({ preventScroll: true });
        stage.mounts.hold(id, false);
      } else if (--tries > 0) requestAnimationFrame(attempt);
      else stage.mounts.hold(id, false);
    };
    attempt();
  }
}
