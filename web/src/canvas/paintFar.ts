import type { Picture } from "./paint";
import { alphaOf } from "./scene";

/** From so many nodes on a pixel is written faster than a rectangle is drawn. */
export const MANY = 6000;

let sheet: OffscreenCanvas | undefined;
let image: ImageData | undefined;
let pixels = new Uint32Array(0);
const known = new Map<string, number>();

/** A colour as a pixel of full strength: red in the lowest byte. */
function pixelOf(colour: string): number {
  let pixel = known.get(colour);
  if (pixel === undefined) {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    if (context === null) return 0;
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
    pixel = red | (green << 8) | (blue << 16);
    if (known.size > 1000) known.clear();
    known.set(colour, pixel);
  }
  return pixel;
}

function prepare(width: number, height: number): OffscreenCanvasRenderingContext2D | null {
  if (sheet === undefined || image === undefined || sheet.width !== width || sheet.height !== height) {
    sheet = new OffscreenCanvas(width, height);
    image = new ImageData(width, height);
    pixels = new Uint32Array(image.data.buffer);
  } else pixels.fill(0);
  return sheet.getContext("2d");
}

/** Adds a share of a pixel: boxes that meet in one fill it together. */
function add(at: number, colour: number, strength: number): void {
  const alpha = Math.min(255, ((pixels[at] ?? 0) >>> 24) + Math.round(strength));
  pixels[at] = (colour | (alpha << 24)) >>> 0;
}

/** The share of pixel `at` that a span from `from` to `to` covers. */
function share(at: number, from: number, to: number): number {
  return Math.max(0, Math.min(at + 1, to) - Math.max(at, from));
}

/** Draws the bodies of very many small nodes, each a few pixels: with edges as soft as those of rectangles. */
export function paintFar({ context, camera, scene, palette, ratio, originX, originY }: Picture, visible: Uint32Array, seen: number): void {
  const scale = camera.zoom * ratio;
  const left = Math.floor(originX * ratio);
  const top = Math.floor(originY * ratio);
  const width = Math.ceil(camera.width * ratio) + 1;
  const height = Math.ceil(camera.height * ratio) + 1;
  const target = prepare(width, height);
  if (target === null || sheet === undefined || image === undefined) return;
  const dx = originX * ratio - left - camera.x * scale;
  const dy = originY * ratio - top - camera.y * scale;
  const plain = pixelOf(palette.get("surface-3"));
  const { x, y, w, h, flags } = scene;
  for (let n = 0; n < seen; n++) {
    const i = visible[n] ?? 0;
    const own = scene.records[i]?.color;
    const colour = own === undefined ? plain : pixelOf(own);
    const strength = 255 * alphaOf(flags[i] ?? 0);
    const x0 = Math.max(0, (x[i] ?? 0) * scale + dx);
    const y0 = Math.max(0, (y[i] ?? 0) * scale + dy);
    const x1 = Math.min(width, ((x[i] ?? 0) + (w[i] ?? 0)) * scale + dx);
    const y1 = Math.min(height, ((y[i] ?? 0) + (h[i] ?? 0)) * scale + dy);
    for (let row = Math.floor(y0); row < y1; row++) {
      const part = strength * share(row, y0, y1);
      for (let column = Math.floor(x0); column < x1; column++) add(row * width + column, colour, part * share(column, x0, x1));
    }
  }
  target.putImageData(image, 0, 0);
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(sheet, left, top);
  context.restore();
}
