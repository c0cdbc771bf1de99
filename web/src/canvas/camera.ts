export interface Point {
  readonly x: number;
  readonly y: number;
}
export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** A part of the graph and how large it is drawn: `x`, `y` is the graph point in its top left corner. */
export interface View extends Box {
  readonly zoom: number;
}

/** Under this zoom links are straight lines. */
export const STRAIGHT_BELOW = 0.15;
/** From this zoom on nodes are DOM elements. */
export const NEAR_FROM = 0.45;
export const MIN_ZOOM = 0.005;
export const MAX_ZOOM = 4;
const FLIGHT_MS = 180;

/** Says whether the user asked the system for less movement. */
export function calm(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** What part of the graph is seen: `x`, `y` is the graph point in the top left corner of the view. */
export class Camera {
  x = 0;
  y = 0;
  zoom = 1;
  width = 1;
  height = 1;
  private flight = 0;

  constructor(private readonly changed: () => void) {}

  toGraph(x: number, y: number): Point {
    return { x: this.x + x / this.zoom, y: this.y + y / this.zoom };
  }

  toScreen(x: number, y: number): Point {
    return { x: (x - this.x) * this.zoom, y: (y - this.y) * this.zoom };
  }

  set(x: number, y: number, zoom: number): void {
    this.stop();
    this.place(x, y, zoom);
  }

  panBy(dx: number, dy: number): void {
    this.set(this.x + dx / this.zoom, this.y + dy / this.zoom, this.zoom);
  }

  /** Zooms so that the graph point under the view point (px, py) stays where it is. */
  zoomAt(factor: number, px: number, py: number): void {
    const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, this.zoom * factor));
    this.set(this.x + px / this.zoom - px / zoom, this.y + py / this.zoom - py / zoom, zoom);
  }

  /** Shows a box of the graph in the middle of the view, at most at `most` zoom. */
  fit(box: Box, most = 1, margin = 48): void {
    const across = (this.width - 2 * margin) / Math.max(1, box.width);
    const down = (this.height - 2 * margin) / Math.max(1, box.height);
    const zoom = Math.min(most, Math.max(MIN_ZOOM, Math.min(across, down)));
    this.centreOn(box.x + box.width / 2, box.y + box.height / 2, zoom);
  }

  centreOn(x: number, y: number, zoom = this.zoom, fly = true): void {
    const kept = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom));
    this.go(x - this.width / 2 / kept, y - this.height / 2 / kept, kept, fly);
  }

  /** Moves as little as needed so that a box is in view with a margin. */
  reveal(box: Box, margin = 40): void {
    const m = margin / this.zoom;
    const w = this.width / this.zoom;
    const h = this.height / this.zoom;
    let { x, y } = this;
    if (box.x + box.width + m > x + w) x = box.x + box.width + m - w;
    if (box.x - m < x) x = box.x - m;
    if (box.y + box.height + m > y + h) y = box.y + box.height + m - h;
    if (box.y - m < y) y = box.y - m;
    if (x !== this.x || y !== this.y) this.go(x, y, this.zoom, true);
  }

  private go(x: number, y: number, zoom: number, fly: boolean): void {
    this.stop();
    if (!fly || calm()) return this.place(x, y, zoom);
    const from = { x: this.x, y: this.y, zoom: this.zoom };
    const start = performance.now();
    const step = (now: number): void => {
      const part = Math.min(1, Math.max(0, (now - start) / FLIGHT_MS));
      const eased = 1 - (1 - part) ** 3;
      // Interpolating the zoom in its logarithm keeps the speed even to the eye.
      const z = from.zoom * (zoom / from.zoom) ** eased;
      this.place(from.x + (x - from.x) * eased, from.y + (y - from.y) * eased, z);
      if (part < 1) this.flight = requestAnimationFrame(step);
    };
    this.flight = requestAnimationFrame(step);
  }

  private place(x: number, y: number, zoom: number): void {
    this.x = x;
    this.y = y;
    this.zoom = zoom;
    this.changed();
  }

  stop(): void {
    if (this.flight !== 0) cancelAnimationFrame(this.flight);
    this.flight = 0;
  }
}
