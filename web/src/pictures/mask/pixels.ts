/** The mask's arithmetic: one byte for each pixel, 255 is masked. Everything works in place within a rectangle. */

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}
export interface Point {
  readonly x: number;
  readonly y: number;
}

export const makePlane = (width: number, height: number): Plane => ({ width, height, data: new Uint8ClampedArray(width * height) });
export const wholeOf = (plane: { readonly width: number; readonly height: number }): Rect => ({ x: 0, y: 0, width: plane.width, height: plane.height });

export function clipped(rect: Rect, plane: { readonly width: number; readonly height: number }): Rect {
  const x = Math.max(0, Math.floor(rect.x));
  const y = Math.max(0, Math.floor(rect.y));
  const right = Math.min(plane.width, Math.ceil(rect.x + rect.width));
  const bottom = Math.min(plane.height, Math.ceil(rect.y + rect.height));
  return { x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) };
}

export function union(a: Rect | undefined, b: Rect): Rect {
  if (a === undefined || a.width === 0 || a.height === 0) return b;
  if (b.width === 0 || b.height === 0) return a;
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return { x, y, width: Math.max(a.x + a.width, b.x + b.width) - x, height: Math.max(a.y + a.height, b.y + b.height) - y };
}

export function cut(plane: Plane, rect: Rect): Uint8ClampedArray {
  const out = new Uint8ClampedArray(rect.width * rect.height);
  for (let row = 0; row < rect.height; row++) {
    const from = (rect.y + row) * plane.width + rect.x;
    out.set(plane.data.subarray(from, from + rect.width), row * rect.width);
  }
  return out;
}

export function put(plane: Plane, rect: Rect, bytes: Uint8ClampedArray): void {
  for (let row = 0; row < rect.height; row++) plane.data.set(bytes.subarray(row * rect.width, (row + 1) * rect.width), (rect.y + row) * plane.width + rect.x);
}

/** Stamp a round brush into what a stroke has covered. `hardness` 1 has a sharp edge, 0 falls off from the middle. */
export function stamp(stroke: Plane, at: Point, radius: number, hardness: number): Rect {
  const rect = clipped({ x: at.x - radius - 1, y: at.y - radius - 1, width: 2 * radius + 2, height: 2 * radius + 2 }, stroke);
  const core = radius * Math.min(1, Math.max(0, hardness));
  const soft = Math.max(1, radius - core);
  for (let y = rect.y; y < rect.y + rect.height; y++) {
    for (let x = rect.x; x < rect.x + rect.width; x++) {
      const distance = Math.hypot(x + 0.5 - at.x, y + 0.5 - at.y);
      // One pixel of smoothing at the edge of a hard brush; a soft one eases out.
      const part = Math.min(1, Math.max(0, (radius - distance) / soft + (hardness >= 1 ? 0.5 : 0)));
      const value = Math.round(255 * (hardness >= 1 ? part : part * part * (3 - 2 * part)));
      const index = y * stroke.width + x;
      if (value > (stroke.data[index] ?? 0)) stroke.data[index] = value;
    }
  }
  return rect;
}

/** Stamps along a line, close enough to look like one. `rest` is how far the last one lies back; gives what is left. */
export function line(from: Point, to: Point, radius: number, rest: number, each: (at: Point) => void): number {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const step = Math.max(0.5, radius / 4);
  let along = step - rest;
  for (; along <= length; along += step) each({ x: from.x + ((to.x - from.x) * along) / length, y: from.y + ((to.y - from.y) * along) / length });
  return length - (along - step);
}

/** Lay a stroke over what was there: `opacity` of it is added to the mask, or taken from it. */
export function blend(layer: Plane, before: Plane, stroke: Plane, rect: Rect, opacity: number, erase: boolean): void {
  for (let y = rect.y; y < rect.y + rect.height; y++) {
    for (let index = y * layer.width + rect.x, end = index + rect.width; index < end; index++) {
      const base = before.data[index] ?? 0;
      const part = ((stroke.data[index] ?? 0) / 255) * opacity;
      layer.data[index] = Math.round(erase ? base * (1 - part) : base + (255 - base) * part);
    }
  }
}

export function invert(layer: Plane): void {
  for (let index = 0; index < layer.data.length; index++) layer.data[index] = 255 - (layer.data[index] ?? 0);
}

/** Soften the edges: three passes of a box, which is close to a Gaussian of `radius` pixels. What lies outside counts as the border. */
export function feather(layer: Plane, radius: number): void {
  const box = Math.round(radius);
  const near = covered(layer);
  if (box < 1 || near === undefined) return;
  // What is far from anything masked stays as it is.
  const far = 3 * box + 1;
  const rect = clipped({ x: near.x - far, y: near.y - far, width: near.width + 2 * far, height: near.height + 2 * far }, layer);
  const { width, height } = rect;
  const one = new Uint8Array(cut(layer, rect).buffer);
  const other = new Uint8Array(one.length);
  for (let pass = 0; pass < 3; pass++) {
    blurRows(one, other, width, height, box);
    blurColumns(other, one, width, height, box);
  }
  put(layer, rect, new Uint8ClampedArray(one.buffer));
}

/** The smallest rectangle with everything that is masked at all. */
function covered(plane: Plane): Rect | undefined {
  let [left, right, top, bottom] = [plane.width, -1, -1, -1];
  for (let y = 0; y < plane.height; y++) {
    const row = plane.data.subarray(y * plane.width, (y + 1) * plane.width);
    const first = row.findIndex((value) => value > 0);
    if (first < 0) continue;
    if (top < 0) top = y;
    bottom = y;
    left = Math.min(left, first);
    right = Math.max(right, row.findLastIndex((value) => value > 0));
  }
  return right < 0 ? undefined : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

function blurRows(from: Uint8Array, to: Uint8Array, width: number, height: number, box: number): void {
  const part = 1 / (2 * box + 1);
  for (let start = 0; start < width * height; start += width) {
    const last = start + width - 1;
    let sum = 0;
    for (let place = -box; place <= box; place++) sum += from[Math.min(last, Math.max(start, start + place))]!;
    for (let index = start; index <= last; index++) {
      to[index] = sum * part + 0.5;
      const gone = index - box;
      const next = index + box + 1;
      sum += from[next > last ? last : next]! - from[gone < start ? start : gone]!;
    }
  }
}

/** The sums of all columns go down together, so that memory is read row by row. */
function blurColumns(from: Uint8Array, to: Uint8Array, width: number, height: number, box: number): void {
  const part = 1 / (2 * box + 1);
  const sums = new Int32Array(width);
  const rowAt = (y: number): number => Math.min(height - 1, Math.max(0, y)) * width;
  for (let y = -box; y <= box; y++) for (let x = 0, row = rowAt(y); x < width; x++) sums[x]! += from[row + x]!;
  for (let y = 0; y < height; y++) {
    const gone = rowAt(y - box);
    const next = rowAt(y + box + 1);
    const row = y * width;
    for (let x = 0; x < width; x++) {
      const sum = sums[x]!;
      to[row + x] = sum * part + 0.5;
      sums[x] = sum + from[next + x]! - from[gone + x]!;
    }
  }
}

/** Cover everything joined to `at` whose colour is within `tolerance` (0 to 255) of the colour there. */
export function flood(stroke: Plane, picture: ImageData, at: Point, tolerance: number): Rect {
  const { width, height } = stroke;
  const [px, py] = [Math.floor(at.x), Math.floor(at.y)];
  if (px < 0 || py < 0 || px >= width || py >= height) return { x: 0, y: 0, width: 0, height: 0 };
  const colours = new Uint32Array(picture.data.buffer, picture.data.byteOffset, width * height);
  const wanted = colours[py * width + px] ?? 0;
  const [red, green, blue] = [wanted & 255, (wanted >>> 8) & 255, (wanted >>> 16) & 255];
  const near = (index: number): boolean => {
    if (stroke.data[index] !== 0) return false;
    const colour = colours[index]!;
    if (colour === wanted) return true;
    return Math.abs((colour & 255) - red) <= tolerance && Math.abs(((colour >>> 8) & 255) - green) <= tolerance && Math.abs(((colour >>> 16) & 255) - blue) <= tolerance;
  };
  const pending = [py * width + px];
  let [left, right, top, bottom] = [px, px, py, py];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    if (!near(index)) continue;
    const y = Math.floor(index / width);
    let from = index;
    let to = index;
    while (from > y * width && near(from - 1)) from -= 1;
    while (to < (y + 1) * width - 1 && near(to + 1)) to += 1;
    stroke.data.fill(255, from, to + 1);
    [left, right, top, bottom] = [Math.min(left, from - y * width), Math.max(right, to - y * width), Math.min(top, y), Math.max(bottom, y)];
    for (const row of [y - 1, y + 1]) {
      if (row < 0 || row >= height) continue;
      let open = false;
      for (let place = row * width + (from - y * width), end = row * width + (to - y * width); place <= end; place++) {
        const fits = near(place);
        if (fits && !open) pending.push(place);
        open = fits;
      }
    }
  }
  return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

export type Shape = "rectangle" | "ellipse" | "lasso";

/** Cover a shape: between two corners, or within a line drawn freely. */
export function fillShape(stroke: Plane, shape: Shape, points: readonly Point[]): Rect {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const rect = clipped({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 }, stroke);
  const [cx, cy, rx, ry] = [(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2];
  for (let y = rect.y; y < rect.y + rect.height; y++) {
    for (let x = rect.x; x < rect.x + rect.width; x++) {
      const [px, py] = [x + 0.5, y + 0.5];
      const inside = shape === "rectangle" || (shape === "ellipse" ? ((px - cx) / rx) ** 2 + ((py - cy) / ry) ** 2 <= 1 : within(points, px, py));
      if (inside) stroke.data[y * stroke.width + x] = 255;
    }
  }
  return rect;
}

function within(points: readonly Point[], x: number, y: number): boolean {
  let inside = false;
  for (let at = 0, before = points.length - 1; at < points.length; before = at++) {
    const [a, b] = [points[at]!, points[before]!];
    if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
  }
  return inside;
}

/** All layers that are shown, as one mask: the strongest of them counts. */
export function combined(layers: readonly { readonly plane: Plane; readonly shown: boolean; readonly opacity: number }[], into: Plane, rect: Rect): void {
  const shown = layers.filter((layer) => layer.shown && layer.opacity > 0);
  const [only] = shown;
  if (shown.length === 1 && only?.opacity === 1) {
    put(into, rect, cut(only.plane, rect));
    return;
  }
  for (let y = rect.y; y < rect.y + rect.height; y++) {
    for (let index = y * into.width + rect.x, end = index + rect.width; index < end; index++) {
      let most = 0;
      for (const layer of shown) most = Math.max(most, (layer.plane.data[index] ?? 0) * layer.opacity);
      into.data[index] = Math.round(most);
    }
  }
}
