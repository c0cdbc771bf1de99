/** Links shown as a pair of named tags, one at each end. */
import type { Palette } from "./palette";
import { rightToLeft, shownTitle } from "./text";

const HEIGHT = 18;
const LETTER = 6.6;
const GAP = 11;
const LONGEST = 24;

function labelOf(name: string): string {
  const clean = shownTitle(name);
  return clean.length > LONGEST ? `${clean.slice(0, LONGEST - 1)}…` : clean;
}

function widthOf(label: string): number {
  return label.length * LETTER + 18;
}

/** Whether a point lies in one of the two tags of a link. */
export function tagAt(name: string, x: number, y: number, x1: number, y1: number, x2: number, y2: number): boolean {
  const width = widthOf(labelOf(name));
  const out = x >= x1 + GAP && x <= x1 + GAP + width && Math.abs(y - y1) <= HEIGHT / 2;
  return out || (x <= x2 - GAP && x >= x2 - GAP - width && Math.abs(y - y2) <= HEIGHT / 2);
}

/** Draws both tags: what leaves points to the right, what comes in stands before its port. */
export function paintTags(
  context: CanvasRenderingContext2D, palette: Palette, name: string, type: string, x1: number, y1: number, x2: number, y2: number,
): void {
  const label = labelOf(name);
  const width = widthOf(label);
  context.font = `500 11px ${palette.font}`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.lineWidth = 1.5;
  for (const [x, y] of [[x1 + GAP, y1], [x2 - GAP - width, y2]] as const) {
    context.beginPath();
    context.roundRect(x, y - HEIGHT / 2, width, HEIGHT, HEIGHT / 2);
    context.fillStyle = palette.get("surface-1");
    context.strokeStyle = palette.socket(type);
    context.fill();
    context.stroke();
    context.fillStyle = palette.get("text");
    context.direction = rightToLeft(label) ? "rtl" : "ltr";
    context.fillText(label, x + width / 2, y + 0.5);
  }
  context.textAlign = "start";
}
