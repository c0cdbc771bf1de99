import { GRID } from "./layout";

const GAP = 30;
const HIDDEN_BELOW = 0.1;

/** The dots behind everything: an element that moves with the sheet it lies on, so that they cost nothing a frame. */
export class Grid {
  private step = 0;
  private width = 0;
  private height = 0;

  constructor(private readonly element: HTMLElement) {}

  /** Lays the dots for a view at (x, y), over a box that begins `originX`, `originY` pixels from the view's corner. */
  place({ x, y, zoom }: { readonly x: number; readonly y: number; readonly zoom: number }, originX: number, originY: number, width: number, height: number): void {
    let step = GRID * zoom;
    while (step < GAP) step *= 2;
    // Whole pixels: the browser would round the tile by itself and the dots would drift.
    step = Math.round(step);
    const { style } = this.element;
    if (step !== this.step || width !== this.width || height !== this.height) {
      this.step = step;
      this.width = width;
      this.height = height;
      style.backgroundSize = `${step}px ${step}px`;
      style.width = `${width + 2 * step}px`;
      style.height = `${height + 2 * step}px`;
    }
    style.visibility = zoom < HIDDEN_BELOW ? "hidden" : "visible";
    style.transform = `translate(${first(-x * zoom, originX, step)}px, ${first(-y * zoom, originY, step)}px)`;
  }
}

/** The place at or before `origin` that is a whole number of steps from `value`. */
function first(value: number, origin: number, step: number): number {
  return value + Math.floor((origin - value) / step) * step;
}
