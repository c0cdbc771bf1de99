import type { Camera } from "./camera";
import { GRID } from "./layout";

const GAP = 30;
const HIDDEN_BELOW = 0.1;

/** The dots behind everything: an element that only moves while panning, so that they cost nothing a frame. */
export class Grid {
  private step = 0;

  constructor(private readonly element: HTMLElement) {}

  moved({ x, y, zoom }: Camera): void {
    let step = GRID * zoom;
    while (step < GAP) step *= 2;
    // Whole pixels: the browser would round the tile by itself and the dots would drift.
    step = Math.round(step);
    const { style } = this.element;
    if (step !== this.step) {
      this.step = step;
      style.backgroundSize = `${step}px ${step}px`;
      style.inset = `${-step}px`;
    }
    style.visibility = zoom < HIDDEN_BELOW ? "hidden" : "visible";
    style.transform = `translate(${wrapped(-x * zoom, step)}px, ${wrapped(-y * zoom, step)}px)`;
  }
}

function wrapped(value: number, step: number): number {
  return ((value % step) + step) % step;
}
