import { NEAR_FROM } from "./camera";
import { PAD, TITLE } from "./layout";
import type { Picture } from "./paint";
import { MANY, paintFar } from "./paintFar";
import { inkOn } from "./palette";
import { alphaOf, LEFTWARDS, MOUNTED, RERUN, SELECTED, STATUS, UNKNOWN, type Scene } from "./scene";
import { OUTLINES, shapeOf } from "./sockets";

const HEADERS_FROM = 0.08;
const TITLES_FROM = 0.22;
const PARTS_FROM = 0.3;
const RADIUS = 8;

let visible = new Uint32Array(256);
const outlines = new Map<string, Path2D>();

function outline(type: string): Path2D {
  const shape = shapeOf(type);
  let path = outlines.get(shape);
  if (path === undefined) {
    path = new Path2D(OUTLINES[shape]);
    outlines.set(shape, path);
  }
  return path;
}

/** One pass over all nodes; the rest of the drawing sees only those in view that the DOM does not show. */
function cull({ camera, scene }: Picture): number {
  if (visible.length < scene.count) visible = new Uint32Array(scene.count * 2);
  const left = camera.x - 8;
  const top = camera.y - 8;
  const right = camera.x + camera.width / camera.zoom + 8;
  const bottom = camera.y + camera.height / camera.zoom + 8;
  const { x, y, w, h, flags } = scene;
  // Far out the DOM layer is hidden, whatever is still mounted in it.
  const shown = camera.zoom >= NEAR_FROM ? MOUNTED : 0;
  let seen = 0;
  for (let i = 0; i < scene.count; i++) {
    const nx = x[i] ?? 0;
    const ny = y[i] ?? 0;
    if (nx > right || ny > bottom || nx + (w[i] ?? 0) < left || ny + (h[i] ?? 0) < top || (flags[i] ?? 0) & shown) continue;
    visible[seen++] = i;
  }
  return seen;
}

export function paintNodes(picture: Picture): void {
  const seen = cull(picture);
  if (seen === 0) return;
  if (seen >= MANY && picture.camera.zoom < HEADERS_FROM) paintFar(picture, visible, seen);
  else paintBodies(picture, seen);
  paintStates(picture, seen);
  if (picture.camera.zoom >= TITLES_FROM) paintTitles(picture, seen);
  if (picture.camera.zoom >= PARTS_FROM) paintParts(picture, seen);
  paintPictures(picture, seen);
}

function paintBodies({ context, camera, scene, palette }: Picture, seen: number): void {
  const { x, y, w, h, flags } = scene;
  const round = camera.zoom >= TITLES_FROM;
  const headers = camera.zoom >= HEADERS_FROM;
  const body = palette.get(headers ? "surface-1" : "surface-3");
  const header = palette.get("surface-3");
  context.lineWidth = 1 / camera.zoom;
  context.strokeStyle = palette.get("border");
  context.fillStyle = body;
  let filled = body;
  for (let n = 0; n < seen; n++) {
    const i = visible[n] ?? 0;
    const own = scene.records[i]?.color;
    const alpha = alphaOf(flags[i] ?? 0);
    if (context.globalAlpha !== alpha) context.globalAlpha = alpha;
    if (!round) {
      // Setting a style costs more than the rectangle: only when it is another.
      const fill = headers ? body : (own ?? body);
      if (fill !== filled) context.fillStyle = filled = fill;
      context.fillRect(x[i] ?? 0, y[i] ?? 0, w[i] ?? 0, h[i] ?? 0);
      continue;
    }
    context.beginPath();
    context.roundRect(x[i] ?? 0, y[i] ?? 0, w[i] ?? 0, h[i] ?? 0, RADIUS);
    context.fillStyle = body;
    context.fill();
    context.stroke();
    context.beginPath();
    context.roundRect(x[i] ?? 0, y[i] ?? 0, w[i] ?? 0, TITLE, [RADIUS, RADIUS, 0, 0]);
    context.fillStyle = own ?? header;
    context.fill();
  }
  if (headers && !round) {
    context.fillStyle = filled = header;
    for (let n = 0; n < seen; n++) {
      const i = visible[n] ?? 0;
      const alpha = alphaOf(flags[i] ?? 0);
      if (context.globalAlpha !== alpha) context.globalAlpha = alpha;
      const fill = scene.records[i]?.color ?? header;
      if (fill !== filled) context.fillStyle = filled = fill;
      context.fillRect(x[i] ?? 0, y[i] ?? 0, w[i] ?? 0, TITLE);
    }
  }
  context.globalAlpha = 1;
}

/** Frames of nodes that are selected, running or failed, and the marks of those that will run again. */
function paintStates({ context, camera, scene, palette }: Picture, seen: number): void {
  const { x, y, w, h, flags, status } = scene;
  const line = 1 / camera.zoom;
  for (let n = 0; n < seen; n++) {
    const i = visible[n] ?? 0;
    const flag = flags[i] ?? 0;
    const state = status[i] ?? 0;
    const running = state === STATUS.running;
    const failed = state === STATUS.failed;
    if (flag & RERUN && camera.zoom >= TITLES_FROM) {
      context.fillStyle = palette.get("accent");
      context.beginPath();
      context.arc((x[i] ?? 0) + (w[i] ?? 0) - 14, (y[i] ?? 0) + TITLE / 2, 4, 0, 7);
      context.fill();
    }
    if (!running && !failed && (flag & (SELECTED | UNKNOWN)) === 0) continue;
    context.lineWidth = (failed || flag & SELECTED ? 2 : 1.25) * line;
    context.strokeStyle = palette.get(flag & SELECTED ? "focus" : running || failed ? "accent" : "text-quiet");
    if (flag & UNKNOWN && !(flag & SELECTED)) context.setLineDash([6 * line, 4 * line]);
    context.beginPath();
    if (camera.zoom >= TITLES_FROM) context.roundRect(x[i] ?? 0, y[i] ?? 0, w[i] ?? 0, h[i] ?? 0, RADIUS);
    else context.rect(x[i] ?? 0, y[i] ?? 0, w[i] ?? 0, h[i] ?? 0);
    context.stroke();
    context.setLineDash([]);
    if (running) {
      context.fillStyle = palette.get("accent");
      context.fillRect(x[i] ?? 0, (y[i] ?? 0) + TITLE - 3, (w[i] ?? 0) * Math.max(0.02, scene.progress[i] ?? 0), 3);
    }
  }
}

function paintTitles({ context, camera, scene, palette }: Picture, seen: number): void {
  const { x, y, w, flags } = scene;
  // Titles grow a little against the graph when far, so that they can still be read at 22 %.
  const size = Math.min(22, Math.max(13, 7.5 / camera.zoom));
  const widest = size * 0.62;
  context.font = `600 ${size}px ${palette.font}`;
  context.textBaseline = "middle";
  const text = palette.get("text");
  let inked = (context.fillStyle = text);
  let turned = false;
  context.direction = "ltr";
  for (let n = 0; n < seen; n++) {
    const i = visible[n] ?? 0;
    const own = scene.records[i]?.color;
    const ink = own === undefined ? text : inkOn(own);
    if (ink !== inked) context.fillStyle = inked = ink;
    const title = scene.titles[i] ?? "";
    const fits = Math.floor(((w[i] ?? 0) - 20) / widest);
    const leftwards = ((flags[i] ?? 0) & LEFTWARDS) !== 0;
    if (leftwards !== turned) {
      turned = leftwards;
      context.direction = leftwards ? "rtl" : "ltr";
    }
    context.globalAlpha = alphaOf(flags[i] ?? 0);
    const at = (x[i] ?? 0) + (leftwards ? (w[i] ?? 0) - 12 : 12);
    context.fillText(title.length > fits ? `${title.slice(0, fits - 1)}…` : title, at, (y[i] ?? 0) + TITLE / 2 + 1);
  }
  context.direction = "ltr";
  context.globalAlpha = 1;
}

/** Ports and the quiet shapes of widgets: what a node looks like before it is in the DOM. */
function paintParts({ context, scene, palette }: Picture, seen: number): void {
  const field = palette.get("surface-2");
  for (let n = 0; n < seen; n++) {
    const i = visible[n] ?? 0;
    const layout = scene.layouts[i];
    const node = scene.records[i];
    if (layout === undefined || node === undefined || node.collapsed === true) continue;
    context.globalAlpha = alphaOf(scene.flags[i] ?? 0);
    context.fillStyle = field;
    const nx = scene.x[i] ?? 0;
    const ny = scene.y[i] ?? 0;
    for (const row of layout.widgets) {
      context.fillRect(nx + 12, ny + row.y + 2, layout.width - 24, row.height - 5);
    }
    paintPorts(context, scene, i, palette);
  }
  context.globalAlpha = 1;
}

function paintPorts(context: CanvasRenderingContext2D, scene: Scene, i: number, palette: Picture["palette"]): void {
  const node = scene.records[i];
  if (node === undefined) return;
  const port = (type: string, x: number, y: number): void => {
    context.fillStyle = palette.socket(type);
    context.translate(x, y);
    context.fill(outline(type), "evenodd");
    context.translate(-x, -y);
  };
  node.inputs.forEach((slot, index) => {
    if (slot.widget === undefined) port(slot.type, scene.inX(i), scene.inY(i, index));
  });
  node.outputs.forEach((slot, index) => port(slot.type, scene.outX(i), scene.outY(i, index)));
}

function paintPictures({ context, scene, thumbnails }: Picture, seen: number): void {
  for (let n = 0; n < seen; n++) {
    const i = visible[n] ?? 0;
    const bitmap = thumbnails.get(scene.ids[i] ?? "");
    const layout = scene.layouts[i];
    if (bitmap === undefined || bitmap.width === 0 || layout === undefined) continue;
    const room = { w: layout.width - 2 * PAD, h: (scene.h[i] ?? 0) - layout.contentHeight - PAD };
    if (room.h < 20) continue;
    const scale = Math.min(room.w / bitmap.width, room.h / bitmap.height);
    const width = bitmap.width * scale;
    const height = bitmap.height * scale;
    context.drawImage(bitmap, (scene.x[i] ?? 0) + PAD + (room.w - width) / 2, (scene.y[i] ?? 0) + layout.contentHeight + (room.h - height) / 2, width, height);
  }
}
