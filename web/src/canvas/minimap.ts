import type { Camera } from "./camera";
import { Mover } from "./mover";
import type { Palette } from "./palette";
import { SELECTED, STATUS, type Scene } from "./scene";

export const MAP_WIDTH = 200;
export const MAP_HEIGHT = 132;
const MARGIN = 8;
const REST_MS = 250;
const IDLE_LIMIT_MS = 500;

/** The whole graph in a corner: drawn when the document changed and there is time, the view's frame only moved. */
export class Minimap {
  private scheduled = 0;
  private resting: ReturnType<typeof setTimeout> | undefined;
  private scale = 1;
  private left = 0;
  private top = 0;
  private width = 0;
  private height = 0;
  private readonly sheet: OffscreenCanvas;
  private readonly context: OffscreenCanvasRenderingContext2D;
  private readonly shown: ImageBitmapRenderingContext;
  private readonly mover: Mover;

  constructor(
    canvas: HTMLCanvasElement,
    private readonly frame: HTMLElement,
    private readonly scene: () => Scene,
    private readonly camera: Camera,
    private readonly palette: Palette,
  ) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    canvas.width = MAP_WIDTH * ratio;
    canvas.height = MAP_HEIGHT * ratio;
    // Drawn elsewhere and shown as a bitmap: a canvas that was drawn on is copied with every frame of the page.
    this.sheet = new OffscreenCanvas(canvas.width, canvas.height);
    const context = this.sheet.getContext("2d");
    const shown = canvas.getContext("bitmaprenderer");
    if (context === null || shown === null) throw new Error("this browser gives no 2D canvas");
    this.context = context;
    this.shown = shown;
    this.mover = new Mover(frame);
    context.scale(ratio, ratio);
  }

  /** Asks for a redraw in an idle moment; while changes keep coming it waits, so that a drag pays for none. */
  changed(): void {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      cancelIdleCallback(this.scheduled);
      this.scheduled = requestIdleCallback(() => this.draw(), { timeout: IDLE_LIMIT_MS });
    }, REST_MS);
  }

  stop(): void {
    clearTimeout(this.resting);
    cancelIdleCallback(this.scheduled);
    this.mover.stop();
  }

  private draw(): void {
    const scene = this.scene();
    const { context, palette } = this;
    const box = scene.bounds() ?? { x: 0, y: 0, width: 1, height: 1 };
    this.scale = Math.min((MAP_WIDTH - 2 * MARGIN) / box.width, (MAP_HEIGHT - 2 * MARGIN) / box.height, 0.1);
    this.left = box.x - (MAP_WIDTH / this.scale - box.width) / 2;
    this.top = box.y - (MAP_HEIGHT / this.scale - box.height) / 2;
    context.clearRect(0, 0, MAP_WIDTH, MAP_HEIGHT);
    const s = this.scale;
    context.globalAlpha = 0.18;
    for (const group of scene.groups) {
      context.fillStyle = group.color ?? palette.get("text-quiet");
      context.fillRect((group.x - this.left) * s, (group.y - this.top) * s, group.width * s, group.height * s);
    }
    // Quieter than the graph itself: it is a map, not a picture.
    context.globalAlpha = 0.5;
    const quiet = palette.get("text-quiet");
    const accent = palette.get("accent");
    const focus = palette.get("focus");
    let filled = (context.fillStyle = quiet);
    for (let i = 0; i < scene.count; i++) {
      const state = scene.status[i] ?? 0;
      const wanted = state === STATUS.running || state === STATUS.failed ? accent : (scene.flags[i] ?? 0) & SELECTED ? focus : (scene.records[i]?.color ?? quiet);
      if (wanted !== filled) context.fillStyle = filled = wanted;
      context.fillRect(
        ((scene.x[i] ?? 0) - this.left) * s, ((scene.y[i] ?? 0) - this.top) * s,
        Math.max(1, (scene.w[i] ?? 0) * s), Math.max(1, (scene.h[i] ?? 0) * s),
      );
    }
    context.globalAlpha = 1;
    this.shown.transferFromImageBitmap(this.sheet.transferToImageBitmap());
    this.moved();
  }

  /** Moves the frame to what the camera sees. */
  moved(): void {
    const { camera, scale, frame } = this;
    // Half pixels: what the sums leave behind the comma must not lay the frame out again while panning.
    const half = (value: number): number => Math.round(2 * value) / 2;
    const x = half(Math.max(-2, (camera.x - this.left) * scale));
    const y = half(Math.max(-2, (camera.y - this.top) * scale));
    const right = Math.min(MAP_WIDTH + 2, (camera.x + camera.width / camera.zoom - this.left) * scale);
    const bottom = Math.min(MAP_HEIGHT + 2, (camera.y + camera.height / camera.zoom - this.top) * scale);
    this.mover.to(`translate(${x}px, ${y}px)`);
    const width = Math.max(6, half(right - x));
    const height = Math.max(6, half(bottom - y));
    if (width !== this.width) frame.style.width = `${(this.width = width)}px`;
    if (height !== this.height) frame.style.height = `${(this.height = height)}px`;
  }

  /** Graph point of a point of the map. */
  toGraph(x: number, y: number): { x: number; y: number } {
    return { x: this.left + x / this.scale, y: this.top + y / this.scale };
  }
}
