/** The inputs and outputs of a subgraph, edited at its borders; every instance follows. */
import { movePort, removePort, renamePort } from "../document/operations/ports";
import { INPUTS } from "../document/types";
import type { Gesture, GestureContext } from "./gesture";
import type { PortRef } from "./hit";
import type { Stage } from "./stage";
import { say } from "./text";

/** How far beside its border a name may be dragged before a link comes of it. */
const ASIDE = 24;

const sideOf = (port: PortRef): "inputs" | "outputs" => (port.node === INPUTS ? "inputs" : "outputs");
const slotsOf = (stage: Stage, port: PortRef) => stage.document.graph(stage.graphId)[sideOf(port)];

export function nameOfPort(stage: Stage, port: PortRef): string {
  const slot = slotsOf(stage, port)[port.index];
  return slot?.label ?? slot?.name ?? "";
}

export function callPort(stage: Stage, port: PortRef, label: string): void {
  const slot = slotsOf(stage, port)[port.index];
  if (slot === undefined || label.trim() === nameOfPort(stage, port)) return;
  stage.document.apply(renamePort(stage.document.workflow, stage.graphId, sideOf(port), slot.name, label), say("canvas.renamePort", "Rename a port"));
}

export function takePort(stage: Stage, port: PortRef): void {
  const slot = slotsOf(stage, port)[port.index];
  if (slot === undefined) return;
  stage.document.apply(removePort(stage.document.workflow, stage.graphId, sideOf(port), slot.name), say("canvas.removePort", "Remove a port"));
  stage.ui.announce(say("canvas.removedPort", "{name} is no port of the subgraph any more", { name: slot.label ?? slot.name }));
}

/** Moves a port up or down by places; says whether there was one. */
export function shiftPort(stage: Stage, port: PortRef, by: number): boolean {
  const slots = slotsOf(stage, port);
  const to = port.index + by;
  if (slots[port.index] === undefined || slots[to] === undefined) return false;
  stage.document.apply(movePort(stage.document.workflow, stage.graphId, sideOf(port), port.index, to), say("canvas.movePort", "Move a port"));
  stage.ui.announce(say("canvas.movedPort", "{name} is now number {n} of {all}", { name: nameOfPort(stage, { ...port, index: to }), n: to + 1, all: slots.length }));
  return true;
}

/** Keys on a focused port of a border; says whether it was one of them. */
export function borderKey(stage: Stage, port: PortRef, event: KeyboardEvent): boolean {
  const focus = (index: number): void => {
    // React draws the ports in their new order first.
    requestAnimationFrame(() => {
      const element = stage.mounts.element(port.node)?.querySelector<HTMLElement>(`[data-port="${port.side}${index}"]`);
      (element ?? stage.parts.host).focus({ preventScroll: true });
    });
  };
  if (event.key === "F2") stage.ui.set({ renamingPort: port });
  else if (event.key === "Delete") {
    takePort(stage, port);
    focus(Math.max(0, Math.min(port.index, slotsOf(stage, port).length - 1)));
  } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    const by = event.key === "ArrowUp" ? -1 : 1;
    if (shiftPort(stage, port, by)) focus(port.index + by);
  } else return false;
  return true;
}

/** Drags the name of a port up and down among its like; dragged away from the border it becomes a link. */
export function dragPort({ stage }: GestureContext, port: PortRef, link: () => Gesture): Gesture {
  const { document, scene } = stage;
  const label = say("canvas.movePort", "Move a port");
  let index = port.index;
  let away: Gesture | undefined;
  let begun = false;
  return {
    move(at, event) {
      const box = scene.box(port.node);
      if (away === undefined && box !== undefined && (at.x < box.x - ASIDE || at.x > box.x + box.width + ASIDE)) {
        if (begun) document.cancel();
        begun = false;
        away = link();
      }
      if (away !== undefined) return away.move(at, event);
      const to = placeAt(stage, port, at.y);
      if (to === index) return;
      if (!begun) document.begin(label);
      begun = true;
      document.apply(movePort(document.workflow, stage.graphId, sideOf(port), index, to), label);
      index = to;
    },
    end(at, event, moved) {
      if (away !== undefined) return away.end(at, event, moved);
      if (begun) document.commit();
    },
    cancel() {
      away?.cancel();
      if (begun) document.cancel();
    },
  };
}

/** The place among the ports of a border that a height is nearest to. */
function placeAt(stage: Stage, port: PortRef, y: number): number {
  const i = stage.scene.index.get(port.node) ?? -1;
  const rows = stage.scene.layouts[i]?.[port.side === "input" ? "inputY" : "outputY"] ?? new Float32Array();
  let best = 0;
  for (let row = 0; row < rows.length; row++) {
    const distance = (place: number): number => Math.abs(y - (stage.scene.y[i] ?? 0) - (rows[place] ?? 0));
    if (distance(row) < distance(best)) best = row;
  }
  return best;
}
