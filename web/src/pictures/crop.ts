/** The rectangle that is cut out, in whole pixels within the picture. */
import type { Rect } from "./mask/pixels";
import type { Size } from "./view/viewport";

export type Handle = "n" | "s" | "e" | "w" | "ne" | "nw" | "se" | "sw" | "move";

/** Ratios by name; 0 is free, undefined is the picture's own. */
export const RATIOS: Readonly<Record<string, number | undefined>> = { free: 0, own: undefined, "1:1": 1, "4:3": 4 / 3, "3:2": 3 / 2, "16:9": 16 / 9, "3:4": 3 / 4, "2:3": 2 / 3, "9:16": 9 / 16 };

export function ratioOf(name: string, picture: Size): number {
  return RATIOS[name] ?? (name === "own" ? picture.width / picture.height : 0);
}

/** The rectangle after a handle was pulled by so many pixels. With a ratio the other side follows; sides are multiples of `step`. */
export function pulled(rect: Rect, handle: Handle, dx: number, dy: number, picture: Size, ratio: number, step: number): Rect {
  if (handle === "move") return inside({ ...rect, x: rect.x + dx, y: rect.y + dy }, picture);
  const west = handle.includes("w");
  const north = handle.includes("n");
  let width = handle === "n" || handle === "s" ? rect.width : rect.width + (west ? -dx : dx);
  let height = handle === "e" || handle === "w" ? rect.height : rect.height + (north ? -dy : dy);
  const [right, bottom] = [rect.x + rect.width, rect.y + rect.height];
  const [most, tallest] = [west ? right : picture.width - rect.x, north ? bottom : picture.height - rect.y];
  if (ratio > 0) {
    if (handle === "n" || handle === "s") width = height * ratio;
    width = Math.min(Math.max(width, step), most, tallest * ratio);
    height = width / ratio;
  }
  width = stepped(width, most, step);
  height = stepped(height, tallest, step);
  return inside({ x: west ? right - width : rect.x, y: north ? bottom - height : rect.y, width, height }, picture);
}

function stepped(length: number, most: number, step: number): number {
  const whole = Math.max(step, Math.round(length / step) * step);
  return whole <= most ? whole : Math.max(1, most >= step ? Math.floor(most / step) * step : Math.floor(most));
}

/** The same rectangle moved and cut so that it lies within the picture. */
export function inside(rect: Rect, picture: Size): Rect {
  const width = Math.max(1, Math.min(Math.round(rect.width), picture.width));
  const height = Math.max(1, Math.min(Math.round(rect.height), picture.height));
  return { x: Math.round(Math.min(picture.width - width, Math.max(0, rect.x))), y: Math.round(Math.min(picture.height - height, Math.max(0, rect.y))), width, height };
}

/** The largest rectangle of a ratio in the middle of another. */
export function ofRatio(rect: Rect, ratio: number, picture: Size, step: number): Rect {
  if (ratio <= 0) return rect;
  const width = Math.min(rect.width, rect.height * ratio);
  const size = { width: stepped(width, picture.width, step), height: stepped(width / ratio, picture.height, step) };
  return inside({ x: rect.x + (rect.width - size.width) / 2, y: rect.y + (rect.height - size.height) / 2, ...size }, picture);
}
