import type { Group, GroupId, Link, LinkId, NodeId } from "../document/types";
import type { Point } from "./camera";
import { isSmall, TITLE } from "./layout";
import { LINK_UNDRAWN } from "./linkTable";
import { BORDER, SELECTED, type Scene } from "./scene";

/** A port of a node; for an input -1-n stands for the loose input n of its layout. */
export interface PortRef {
  readonly node: NodeId;
  readonly side: "input" | "output";
  readonly index: number;
}

/** A port from what its button is called: "input3", "output0", "input-1". */
export function portRef(node: NodeId, name: string): PortRef {
  const side = name.startsWith("input") ? "input" : "output";
  return { node, side, index: Number(name.slice(side.length)) };
}

/** What lies under a point of the graph. */
export type Target =
  | { readonly kind: "port"; readonly port: PortRef }
  | { readonly kind: "title" | "body" | "resize" | "collapse"; readonly id: NodeId }
  | { readonly kind: "bend"; readonly link: LinkId; readonly bend: number }
  /** The handle beside a bend that a new link is drawn from. */
  | { readonly kind: "sprout"; readonly link: LinkId; readonly bend: number }
  | { readonly kind: "marker"; readonly link: LinkId }
  | { readonly kind: "link"; readonly link: LinkId; readonly segment: number }
  | { readonly kind: "groupTitle" | "groupResize"; readonly id: GroupId }
  | { readonly kind: "empty" };

const PORT_REACH = 12;
const CORNER = 16;
/** Half of what a finger needs, in pixels of the screen: across, to the outside of a node, and down. */
const FINGER = { out: 26, in: 18, down: 14, handle: 14 };
const GROUP_TITLE = 36;

/** Index of the topmost node whose box, grown by `margin`, holds a point; selected nodes lie above the others. */
export function nodeAt(scene: Scene, px: number, py: number, margin = 0): number {
  const { x, y, w, h, flags } = scene;
  let found = -1;
  for (let i = scene.count - 1; i >= 0; i--) {
    const left = (x[i] ?? 0) - margin;
    const top = (y[i] ?? 0) - margin;
    if (px < left || py < top || px > left + (w[i] ?? 0) + 2 * margin || py > top + (h[i] ?? 0) + 2 * margin) continue;
    if ((flags[i] ?? 0) & SELECTED) return i;
    if (found < 0) found = i;
  }
  return found;
}

/** How far from its middle a port is still meant, in graph units: to the outside of its node, to the inside, and up or down. */
interface Reach {
  readonly out: number;
  readonly in: number;
  readonly down: number;
}
const POINTED: Reach = { out: PORT_REACH, in: PORT_REACH, down: PORT_REACH };

/** A finger covers as much of the screen at any zoom, but never more of a node than leaves room to take hold of it. */
function fingerReach(zoom: number, width: number): Reach {
  const least = (pixels: number): number => Math.max(PORT_REACH, pixels / zoom);
  return { out: least(FINGER.out), in: Math.min(least(FINGER.in), Math.max(PORT_REACH, width / 5)), down: least(FINGER.down) };
}

/** The port of node `i` within reach of a point. */
function portOf(scene: Scene, i: number, px: number, py: number, reach: Reach): PortRef | undefined {
  const node = scene.records[i];
  const layout = scene.layouts[i];
  if (node === undefined || layout === undefined) return undefined;
  let best = 1;
  let found: PortRef | undefined;
  const consider = (side: "input" | "output", index: number, x: number, y: number): void => {
    const inwards = side === "input" ? px - x : x - px;
    const distance = Math.max(inwards > 0 ? inwards / reach.in : -inwards / reach.out, Math.abs(py - y) / reach.down);
    if (distance >= best) return;
    best = distance;
    found = { node: node.id, side, index };
  };
  node.inputs.forEach((_, index) => consider("input", index, scene.inX(i), scene.inY(i, index)));
  layout.loose.forEach((input, n) => consider("input", -1 - n, scene.inX(i), (scene.y[i] ?? 0) + input.y));
  node.outputs.forEach((_, index) => consider("output", index, scene.outX(i), scene.outY(i, index)));
  return found;
}

/** The input of the widget of node `i` whose row holds a height. */
export function widgetPort(scene: Scene, i: number, py: number): PortRef | undefined {
  const layout = scene.layouts[i];
  const y = py - (scene.y[i] ?? 0);
  const row = layout?.widgets.find((one) => y >= one.y && y < one.y + one.height);
  const loose = row === undefined ? -1 : (layout?.loose.findIndex((one) => one.spec === row.spec) ?? -1);
  if (row === undefined || (row.slot < 0 && loose < 0)) return undefined;
  return { node: scene.ids[i] as NodeId, side: "input", index: row.slot >= 0 ? row.slot : -1 - loose };
}

/** Where a port lies in the graph. */
export function portPoint(scene: Scene, port: PortRef): Point | undefined {
  const i = scene.index.get(port.node);
  if (i === undefined) return undefined;
  if (port.side === "output") return { x: scene.outX(i), y: scene.outY(i, port.index) };
  if (port.index >= 0) return { x: scene.inX(i), y: scene.inY(i, port.index) };
  return { x: scene.inX(i), y: (scene.y[i] ?? 0) + (scene.layouts[i]?.loose[-1 - port.index]?.y ?? 0) };
}

function nodePart(scene: Scene, i: number, px: number, py: number, corner: number): Target {
  const id = scene.ids[i] as NodeId;
  const right = (scene.x[i] ?? 0) + (scene.w[i] ?? 0);
  const bottom = (scene.y[i] ?? 0) + (scene.h[i] ?? 0);
  const node = scene.records[i];
  if ((scene.flags[i] ?? 0) & BORDER) return { kind: py > (scene.y[i] ?? 0) + TITLE ? "body" : "title", id };
  const small = node === undefined || isSmall(node);
  if (!small && px > right - corner && py > bottom - corner) return { kind: "resize", id };
  if (py > (scene.y[i] ?? 0) + TITLE) return { kind: "body", id };
  return { kind: px < (scene.x[i] ?? 0) + 28 && node?.type !== "Reroute" ? "collapse" : "title", id };
}

function bendAt(scene: Scene, px: number, py: number, within: number): Target | undefined {
  for (const [link, bends] of scene.links.bends) {
    for (let b = 0; b < bends.length; b += 2) {
      if (Math.hypot(px - (bends[b] ?? 0), py - (bends[b + 1] ?? 0)) < within) return { kind: "bend", link, bend: b / 2 };
    }
  }
  return undefined;
}

function markerAt(scene: Scene, px: number, py: number, within: number): Target | undefined {
  const { links } = scene;
  for (let i = 0; i < links.count; i++) {
    if ((links.flags[i] ?? 0) & LINK_UNDRAWN || px < (links.minX[i] ?? 0) || px > (links.maxX[i] ?? 0)) continue;
    if (py < (links.minY[i] ?? 0) - within || py > (links.maxY[i] ?? 0) + within) continue;
    if ((links.maxX[i] ?? 0) - (links.minX[i] ?? 0) < TITLE * 2) continue;
    const { x, y } = links.middle(i);
    if (Math.hypot(px - x, py - y) < within) return { kind: "marker", link: links.ids[i] as LinkId };
  }
  return undefined;
}

function groupAt(groups: readonly Group[], px: number, py: number, corner: number): Target | undefined {
  for (const group of groups.toReversed()) {
    const right = group.x + group.width;
    const bottom = group.y + group.height;
    if (px < group.x || px > right || py < group.y || py > bottom) continue;
    if (px > right - corner && py > bottom - corner) return { kind: "groupResize", id: group.id };
    if (py < group.y + GROUP_TITLE) return { kind: "groupTitle", id: group.id };
  }
  return undefined;
}

/** Finds what lies under a point; ports and link handles only where they are drawn (`near`). A finger reaches further. */
export function hit(scene: Scene, px: number, py: number, zoom: number, finger = false): Target {
  const near = zoom >= 0.3;
  const slack = finger ? FINGER.handle / 9 / Math.min(1.5, zoom) : Math.max(1, 0.8 / zoom);
  const corner = finger ? Math.max(CORNER, 24 / zoom) : CORNER;
  const inside = nodeAt(scene, px, py);
  // The title is what a node is moved by: no port of a node takes that away from a finger.
  const heading = finger && inside >= 0 && !isSmall(scene.records[inside]!) && py < (scene.y[inside] ?? 0) + TITLE;
  const i = nodeAt(scene, px, py, !near ? 0 : finger ? Math.max(PORT_REACH, FINGER.out / zoom) : PORT_REACH);
  if (i >= 0) {
    const reach = finger ? fingerReach(zoom, scene.w[i] ?? 0) : POINTED;
    const port = near && !heading ? portOf(scene, i, px, py, reach) : undefined;
    if (port !== undefined) return { kind: "port", port };
    if (inside >= 0) return near ? nodePart(scene, inside, px, py, corner) : { kind: "title", id: scene.ids[inside] as NodeId };
  }
  if (near) {
    const handle = bendAt(scene, px, py, 9 * slack) ?? markerAt(scene, px, py, 9 * slack);
    if (handle !== undefined) return handle;
    const portal = scene.links.portalAt(px, py);
    if (portal !== undefined) return { kind: "marker", link: portal };
  }
  const link = scene.links.at(px, py, 6 * slack);
  if (link !== undefined) return { kind: "link", link: link.link.id, segment: link.segment };
  return groupAt(scene.groups, px, py, corner) ?? { kind: "empty" };
}

/** Ids of the nodes that a box touches. */
export function nodesIn(scene: Scene, x1: number, y1: number, x2: number, y2: number): NodeId[] {
  const left = Math.min(x1, x2);
  const right = Math.max(x1, x2);
  const top = Math.min(y1, y2);
  const bottom = Math.max(y1, y2);
  const found: NodeId[] = [];
  for (let i = 0; i < scene.count; i++) {
    const nx = scene.x[i] ?? 0;
    const ny = scene.y[i] ?? 0;
    if (nx <= right && ny <= bottom && nx + (scene.w[i] ?? 0) >= left && ny + (scene.h[i] ?? 0) >= top) found.push(scene.ids[i] as NodeId);
  }
  return found;
}

/** The nearest node from one in a direction: what lies ahead counts, what lies aside costs twice. */
export function neighbour(scene: Scene, id: NodeId, dx: number, dy: number): NodeId | undefined {
  const from = scene.index.get(id);
  if (from === undefined) return undefined;
  const cx = (scene.x[from] ?? 0) + (scene.w[from] ?? 0) / 2;
  const cy = (scene.y[from] ?? 0) + (scene.h[from] ?? 0) / 2;
  let best = Infinity;
  let found: NodeId | undefined;
  for (let i = 0; i < scene.count; i++) {
    if (i === from) continue;
    const ox = (scene.x[i] ?? 0) + (scene.w[i] ?? 0) / 2 - cx;
    const oy = (scene.y[i] ?? 0) + (scene.h[i] ?? 0) / 2 - cy;
    const ahead = ox * dx + oy * dy;
    const aside = Math.abs(ox * dy) + Math.abs(oy * dx);
    if (ahead <= 0 || aside > ahead * 3) continue;
    const cost = ahead + aside * 2;
    if (cost < best) {
      best = cost;
      found = scene.ids[i];
    }
  }
  return found;
}

/** Follows a port to the links on it. */
export function linksAt(scene: Scene, port: PortRef): readonly Link[] {
  const { in: into, out } = scene.document.linksOf(scene.graphId, port.node);
  return port.side === "input" ? into.filter((link) => link.input === port.index) : out.filter((link) => link.output === port.index);
}
