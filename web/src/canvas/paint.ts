import { addWire } from "./curve";
import { NEAR_FROM, STRAIGHT_BELOW, type View } from "./camera";
import { TITLE } from "./layout";
import { LINK_FADED, LINK_PORTAL, LINK_SELECTED, LINK_UNDRAWN } from "./linkTable";
import { paintNodes } from "./paintNodes";
import type { Palette } from "./palette";
import { paintTags } from "./portals";
import type { Scene } from "./scene";
import { rightToLeft, shownTitle } from "./text";
import type { Thumbnails } from "./thumbnails";

const FEW = 20;
const FADED = 0.15;

/** What one picture of the bottom canvas is made from. */
export interface Picture {
  readonly context: CanvasRenderingContext2D;
  readonly camera: View;
  readonly scene: Scene;
  readonly palette: Palette;
  readonly thumbnails: Thumbnails;
  readonly ratio: number;
  /** Where on the canvas the view begins, in CSS pixels. */
  readonly originX: number;
  readonly originY: number;
  /** Type of the port a link is being dragged from: other links step back. */
  readonly linking: boolean;
  readonly showLinks: boolean;
}

/** Draws groups, links, and the nodes that are not in the DOM, onto ground that is clean. */
export function paint(picture: Picture): void {
  const { context, camera, ratio, originX, originY } = picture;
  const scale = camera.zoom * ratio;
  context.setTransform(scale, 0, 0, scale, originX * ratio - camera.x * scale, originY * ratio - camera.y * scale);
  paintGroups(picture);
  if (picture.showLinks) paintLinks(picture);
  paintNodes(picture);
}

function paintGroups({ context, camera, scene, palette }: Picture): void {
  const line = 1 / camera.zoom;
  for (const group of scene.groups) {
    if (!seen(camera, group.x, group.y, group.x + group.width, group.y + group.height)) continue;
    const colour = group.color ?? palette.get("text-quiet");
    const selected = scene.selectedGroups.has(group.id);
    context.globalAlpha = 0.09;
    context.fillStyle = colour;
    context.fillRect(group.x, group.y, group.width, group.height);
    context.globalAlpha = selected ? 1 : 0.35;
    context.strokeStyle = selected ? palette.get("focus") : colour;
    context.lineWidth = (selected ? 2 : 1) * line;
    context.strokeRect(group.x, group.y, group.width, group.height);
    context.globalAlpha = 1;
    // Group titles stay readable from afar: they are what one finds the way by.
    const size = Math.min(Math.max(18, 12 * line), group.width / 4, 160);
    if (size * camera.zoom < 5) continue;
    context.font = `600 ${size}px ${palette.font}`;
    context.textBaseline = "top";
    context.fillStyle = palette.get("text");
    context.globalAlpha = 0.8;
    const leftwards = rightToLeft(group.title);
    context.direction = leftwards ? "rtl" : "ltr";
    context.fillText(shownTitle(group.title), leftwards ? group.x + group.width - 10 : group.x + 10, group.y + 8, Math.max(10, group.width - 20));
    context.globalAlpha = 1;
    if (camera.zoom >= NEAR_FROM && selected) paintGrip(context, group.x + group.width, group.y + group.height, palette.get("focus"));
  }
}

function paintGrip(context: CanvasRenderingContext2D, x: number, y: number, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x - 12, y - 3);
  context.lineTo(x - 3, y - 12);
  context.moveTo(x - 7, y - 3);
  context.lineTo(x - 3, y - 7);
  context.stroke();
}

export function seen(camera: View, left: number, top: number, right: number, bottom: number): boolean {
  return (
    right >= camera.x && left <= camera.x + camera.width / camera.zoom && bottom >= camera.y && top <= camera.y + camera.height / camera.zoom
  );
}

/** One path and one stroke a type; whatever is out of view is left out by its box. */
function paintLinks({ context, camera, scene, palette, linking, ratio }: Picture): void {
  const { links } = scene;
  const order = links.byType();
  const left = camera.x;
  const top = camera.y;
  const right = left + camera.width / camera.zoom;
  const bottom = top + camera.height / camera.zoom;
  const straight = camera.zoom < STRAIGHT_BELOW;
  // A line of at most one pixel is a hairline, which costs a fraction of a stroked outline.
  context.lineWidth = Math.max(2.25, 1 / (camera.zoom * ratio));
  context.lineCap = "butt";
  const alpha = linking ? 0.2 : straight ? 0.45 : 0.85;
  context.globalAlpha = alpha;
  let open = -1;
  for (let n = 0; n < order.length; n++) {
    const i = order[n] ?? 0;
    const flags = links.flags[i] ?? 0;
    if (flags & LINK_UNDRAWN) continue;
    if ((links.maxX[i] ?? 0) < left || (links.minX[i] ?? 0) > right || (links.maxY[i] ?? 0) < top || (links.minY[i] ?? 0) > bottom) continue;
    const type = (links.type[i] ?? 0) * 2 + (flags & LINK_FADED ? 1 : 0);
    if (type !== open) {
      if (open >= 0) context.stroke();
      context.beginPath();
      context.strokeStyle = palette.socket(links.types[type >> 1] ?? "*");
      context.globalAlpha = type & 1 ? alpha * FADED : alpha;
      open = type;
    }
    trace(context, scene, i, straight);
  }
  if (open >= 0) context.stroke();
  context.globalAlpha = 1;
  paintHiddenLinks(context, scene, palette, straight);
  paintChosenLinks(context, camera, scene, palette, straight);
  if (camera.zoom >= NEAR_FROM && !linking) paintMarkers(context, camera, scene, palette);
}

function trace(context: CanvasRenderingContext2D, scene: Scene, i: number, straight: boolean): void {
  const { links } = scene;
  let x = links.x1[i] ?? 0;
  let y = links.y1[i] ?? 0;
  const x2 = links.x2[i] ?? 0;
  const y2 = links.y2[i] ?? 0;
  context.moveTo(x, y);
  const bends = links.bends.size === 0 ? undefined : links.bends.get(links.ids[i] ?? "");
  if (bends !== undefined) {
    for (let b = 0; b < bends.length; b += 2) {
      const bx = bends[b] ?? 0;
      const by = bends[b + 1] ?? 0;
      if (straight) context.lineTo(bx, by);
      else addWire(context, links.style, x, y, bx, by);
      x = bx;
      y = by;
    }
  }
  if (straight) context.lineTo(x2, y2);
  else addWire(context, links.style, x, y, x2, y2);
}

function paintChosenLinks(context: CanvasRenderingContext2D, camera: View, scene: Scene, palette: Palette, straight: boolean): void {
  const { links } = scene;
  for (const id of scene.hoveredLinks) {
    const i = links.index.get(id);
    if (i === undefined) continue;
    context.beginPath();
    context.strokeStyle = palette.socket(links.types[links.type[i] ?? 0] ?? "*");
    context.lineWidth = 4 / Math.min(1, camera.zoom);
    trace(context, scene, i, straight);
    context.stroke();
  }
  for (const id of scene.selectedLinks) {
    const i = links.index.get(id);
    if (i === undefined || ((links.flags[i] ?? 0) & LINK_SELECTED) === 0) continue;
    context.beginPath();
    context.strokeStyle = palette.get("text");
    context.lineWidth = 4 / Math.min(1, camera.zoom);
    trace(context, scene, i, straight);
    context.stroke();
  }
}

/** Hidden links show while one of their nodes is selected. */
function paintHiddenLinks(context: CanvasRenderingContext2D, scene: Scene, palette: Palette, straight: boolean): void {
  const { links, selectedNodes } = scene;
  if (selectedNodes.size === 0 || selectedNodes.size > FEW) return;
  context.setLineDash([8, 6]);
  for (const id of selectedNodes) {
    const { in: into, out } = scene.document.linksOf(scene.graphId, id);
    for (const link of [...into, ...out]) {
      const i = link.hidden === true || link.portal !== undefined ? links.index.get(link.id) : undefined;
      if (i === undefined) continue;
      context.beginPath();
      context.strokeStyle = palette.socket(link.type);
      trace(context, scene, i, straight);
      context.stroke();
    }
  }
  context.setLineDash([]);
}

/** The dots in the middle of links, and the bends: handles of their menus. */
function paintMarkers(context: CanvasRenderingContext2D, camera: View, scene: Scene, palette: Palette): void {
  const { links } = scene;
  context.lineWidth = 1.5;
  for (let i = 0; i < links.count; i++) {
    const flags = links.flags[i] ?? 0;
    if (flags & LINK_PORTAL) paintPortal(context, camera, scene, palette, i);
    if (flags & (LINK_UNDRAWN | LINK_FADED)) continue;
    if (!seen(camera, links.minX[i] ?? 0, links.minY[i] ?? 0, links.maxX[i] ?? 0, links.maxY[i] ?? 0)) continue;
    if ((links.maxX[i] ?? 0) - (links.minX[i] ?? 0) < TITLE * 2) continue;
    const { x, y } = links.middle(i);
    const colour = palette.socket(links.types[links.type[i] ?? 0] ?? "*");
    context.beginPath();
    context.arc(x, y, 4, 0, 7);
    context.fillStyle = palette.get("surface-0");
    context.strokeStyle = colour;
    context.fill();
    context.stroke();
    const bends = links.bends.get(links.ids[i] ?? "");
    if (bends === undefined) continue;
    context.fillStyle = colour;
    for (let b = 0; b < bends.length; b += 2) {
      context.beginPath();
      context.arc(bends[b] ?? 0, bends[b + 1] ?? 0, 5, 0, 7);
      context.fill();
    }
  }
}

function paintPortal(context: CanvasRenderingContext2D, camera: View, scene: Scene, palette: Palette, i: number): void {
  const { links } = scene;
  if (!seen(camera, (links.minX[i] ?? 0) - 20, (links.minY[i] ?? 0) - 20, (links.maxX[i] ?? 0) + 20, (links.maxY[i] ?? 0) + 20)) return;
  const type = links.types[links.type[i] ?? 0] ?? "*";
  paintTags(context, palette, links.records[i]?.portal ?? "", type, links.x1[i] ?? 0, links.y1[i] ?? 0, links.x2[i] ?? 0, links.y2[i] ?? 0);
  context.lineWidth = 1.5;
}
