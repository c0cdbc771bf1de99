import { addBend as added, setBend, type Way } from "../document/operations/bends";
import type { Link, LinkId } from "../document/types";
import type { Point } from "./camera";
import type { Gesture, GestureContext } from "./gesture";
import type { PortRef, Target } from "./hit";
import type { Stage } from "./stage";
import { say } from "./text";

/** How far right of a point the handle stands that a new link is drawn from, in graph units. */
const SPROUT = 18;
const SPROUT_REACH = 9;

/** A place on a link that another link begins at: the output that feeds both, and how the new one gets to the place. */
export interface Branch {
  readonly port: PortRef;
  readonly way: Way;
  readonly at: Point;
}

const linkOf = (stage: Stage, id: LinkId): Link | undefined => stage.document.graph(stage.graphId).links.get(id);

/** Adds a point that the link runs through. */
export function addBend(stage: Stage, id: LinkId, segment: number, at: Point): void {
  const link = linkOf(stage, id);
  if (link !== undefined) stage.document.apply(added(stage.document.graph(stage.graphId), link, segment, at).command, say("canvas.addBend", "Add bend"));
}

export function removeBend(stage: Stage, id: LinkId, index: number): void {
  const link = linkOf(stage, id);
  const command = link && setBend(stage.document.graph(stage.graphId), link, index, undefined);
  if (command !== undefined) stage.document.apply(command, say("canvas.removeBend", "Remove bend"));
}

export function dragBend({ stage }: GestureContext, id: LinkId, index: number): Gesture {
  const { document } = stage;
  const label = say("canvas.moveBend", "Move bend");
  let begun = false;
  return {
    move(at) {
      if (!begun) document.begin(label);
      begun = true;
      const link = linkOf(stage, id);
      const command = link && setBend(document.graph(stage.graphId), link, index, at);
      if (command !== undefined) document.apply(command, label);
    },
    end() {
      if (begun) document.commit();
    },
    cancel() {
      if (begun) document.cancel();
    },
  };
}

/**
 * The branch that begins at what lies under a point: after a bend, under the name of a portal, or at a new bend where
 * the line has none.
 */
export function branchAt(stage: Stage, target: Target, at: Point): Branch | undefined {
  const link = "link" in target ? linkOf(stage, target.link) : undefined;
  if (link === undefined || !("link" in target)) return undefined;
  const port: PortRef = { node: link.from, side: "output", index: link.output };
  if (target.kind === "bend" || target.kind === "sprout") {
    const bends = (link.bends ?? []).slice(0, target.bend + 1);
    return { port, way: { bends }, at: bends.at(-1) ?? at };
  }
  if (link.portal !== undefined) return { port, way: { portal: link.portal }, at };
  const { links } = stage.scene;
  const middle = target.kind === "marker";
  const place = middle ? links.middle(links.index.get(link.id) ?? 0) : at;
  const segment = target.kind === "link" ? target.segment : links.markedSegment(link.id);
  const { command, bends } = added(stage.document.graph(stage.graphId), link, segment, { x: Math.round(place.x), y: Math.round(place.y) });
  return { port, way: { bends, first: command }, at: place };
}

/** Shows at a bend under the pointer what a new link is drawn from, and takes it away elsewhere. */
export function showSprout(stage: Stage, target: Target): void {
  const { overlay } = stage;
  const shown = overlay.state.sprout;
  const link = target.kind === "bend" || target.kind === "sprout" ? linkOf(stage, target.link) : undefined;
  const place = target.kind === "bend" || target.kind === "sprout" ? target.bend : -1;
  const bend = link?.bends?.[place];
  if (link === undefined || bend === undefined) {
    if (shown === undefined) return;
    overlay.clear();
    return stage.redraw();
  }
  const on = target.kind === "sprout";
  if (shown?.link === link.id && shown.bend === place && shown.on === on) return;
  overlay.state = { sprout: { link: link.id, bend: place, from: bend, at: { x: bend.x + SPROUT, y: bend.y }, type: link.type, on } };
  stage.redraw();
}

/** The handle that is shown, when a point lies on it. */
export function sproutAt(stage: Stage, at: Point): Target | undefined {
  const { sprout } = stage.overlay.state;
  if (sprout === undefined || Math.hypot(at.x - sprout.at.x, at.y - sprout.at.y) > SPROUT_REACH * Math.max(1, 0.8 / stage.camera.zoom)) return undefined;
  return { kind: "sprout", link: sprout.link, bend: sprout.bend };
}

/** From one tag of a portal to the node at the other. */
export function throughPortal(stage: Stage, id: LinkId, x: number): void {
  const { links } = stage.scene;
  const i = links.index.get(id) ?? -1;
  const link = links.records[i];
  if (link?.portal === undefined) return;
  const atStart = Math.abs(x - (links.x1[i] ?? 0)) < Math.abs(x - (links.x2[i] ?? 0));
  const place = stage.scene.box(atStart ? link.to : link.from);
  if (place !== undefined) stage.camera.centreOn(place.x + place.width / 2, place.y + place.height / 2);
}
