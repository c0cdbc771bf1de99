import { NEAR_FROM, type Camera, type View } from "./camera";
import { Grid } from "./grid";
import { Mover } from "./mover";

export interface SurfaceParts {
  /** Holds everything that moves with the graph; only it moves while the view does. */
  readonly plane: HTMLElement;
  readonly grid: HTMLElement;
  readonly bottom: HTMLCanvasElement;
  /** Shows a bitmap of `bottom` while nothing is painted: a canvas that was drawn on is copied with every frame of the page. */
  readonly still: HTMLCanvasElement;
  readonly world: HTMLElement;
}

/** More than the view is painted, so that it may move before anything has to be painted again: CSS pixels an axis. */
const ROOM = 256;
const ROOM_DENSE = 128;
const BEHIND = 32;
const EDGE = 72;
/** A sheet is scaled for so many frames, or for so long, before it is painted in its new size. */
const ZOOM_FRAMES = 4;
const ZOOM_MS = 130;
const REST_MS = 100;
const STALE_MS = 250;
const STILL_AFTER = 3;

/** A part of the graph on the canvas: the view it was made for, and what around that was painted, in CSS pixels from the view's corner. */
interface Sheet {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** Where the canvas begins. */
  readonly originX: number;
  readonly originY: number;
}

/**
 * The painted graph and how it follows the camera. Panning moves a sheet that was painted with room around the view,
 * zooming scales it for a few frames; it is painted again when what it shows changed, when the room is used up, and
 * sharp when the camera rests.
 */
export class Surface {
  private readonly context: CanvasRenderingContext2D;
  private readonly bitmap: ImageBitmapRenderingContext;
  private readonly grid: Grid;
  private readonly mover: Mover;
  private shown: Sheet | undefined;
  private live = true;
  /** Grows with every painting: what is still under way for an older one is dropped. */
  private turn = 0;
  private waiting = false;
  private unchanged = 0;
  private paintedAt = 0;
  private holes = false;
  private sharpen = false;
  private ratio = 1;
  private width = 1;
  private height = 1;
  private before = { x: 0, y: 0 };
  private heading = { x: 0, y: 0 };
  private rest: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly parts: SurfaceParts,
    private readonly camera: Camera,
    private readonly paint: (context: CanvasRenderingContext2D, view: View, originX: number, originY: number) => void,
    private readonly request: () => void,
  ) {
    const context = parts.bottom.getContext("2d");
    const bitmap = parts.still.getContext("bitmaprenderer");
    if (context === null || bitmap === null) throw new Error("this browser gives no 2D canvas");
    this.context = context;
    this.bitmap = bitmap;
    this.grid = new Grid(parts.grid);
    this.mover = new Mover(parts.plane);
    this.show(true);
  }

  resize(ratio: number): void {
    const { camera, parts } = this;
    const room = ratio > 1.5 ? ROOM_DENSE : ROOM;
    this.ratio = ratio;
    this.width = camera.width + room;
    this.height = camera.height + room;
    for (const canvas of [parts.bottom, parts.still]) {
      canvas.width = Math.round(this.width * ratio);
      canvas.height = Math.round(this.height * ratio);
      canvas.style.width = `${this.width}px`;
      canvas.style.height = `${this.height}px`;
    }
    this.shown = undefined;
  }

  /** Says that something is missing well outside of the view, for which there is time. */
  stale(): void {
    this.holes = true;
    this.request();
  }

  /** One frame: paints what has to be painted and lets the sheet follow the camera. */
  draw(changed: boolean): void {
    const { camera, shown, before } = this;
    const now = performance.now();
    if (camera.x !== before.x || camera.y !== before.y) this.heading = { x: camera.x - before.x, y: camera.y - before.y };
    this.before = { x: camera.x, y: camera.y };
    if (shown === undefined || changed || this.sharpen || camera.zoom < NEAR_FROM !== shown.zoom < NEAR_FROM) {
      // A graph that is changed is painted with every frame then: no more of it than is seen.
      const seen = shown !== undefined && camera.zoom === shown.zoom && !this.sharpen;
      return this.paintNow(seen ? 0 : 1, now);
    }
    const zoomed = camera.zoom !== shown.zoom;
    this.unchanged += 1;
    const old = zoomed && (this.unchanged >= ZOOM_FRAMES || now - this.paintedAt >= ZOOM_MS);
    if (old || !this.covers(shown, 0)) return this.paintNow(1, now);
    this.follow();
    this.await();
    if (zoomed) return;
    if (this.waiting) return;
    if (this.live) {
      if (this.unchanged >= STILL_AFTER) this.keep();
    } else if (!this.covers(shown, EDGE) || (this.holes && now - this.paintedAt > STALE_MS)) this.prepare(now);
  }

  stop(): void {
    this.turn += 1;
    clearTimeout(this.rest);
    this.mover.stop();
  }

  /** Whether the view, and `edge` pixels more where it is heading, were painted. */
  private covers(sheet: Sheet, edge: number): boolean {
    const { camera, heading } = this;
    const left = (camera.x - sheet.x) * sheet.zoom;
    const top = (camera.y - sheet.y) * sheet.zoom;
    const scale = sheet.zoom / camera.zoom;
    // Half a pixel is what a sheet may lie beside the camera.
    return (
      left + 0.5 - (heading.x < 0 ? edge : 0) >= sheet.left && top + 0.5 - (heading.y < 0 ? edge : 0) >= sheet.top &&
      left - 0.5 + camera.width * scale + (heading.x > 0 ? edge : 0) <= sheet.right &&
      top - 0.5 + camera.height * scale + (heading.y > 0 ? edge : 0) <= sheet.bottom
    );
  }

  /** Where the sheet lies on the screen: whole pixels while it is not scaled, so that panning leaves everything sharp. */
  private offset(sheet: Sheet): { x: number; y: number } {
    const { camera, ratio } = this;
    const x = (sheet.x - camera.x) * camera.zoom;
    const y = (sheet.y - camera.y) * camera.zoom;
    return sheet.zoom === camera.zoom ? { x: Math.round(x * ratio) / ratio, y: Math.round(y * ratio) / ratio } : { x, y };
  }

  private follow(): void {
    const sheet = this.shown;
    if (sheet === undefined) return;
    const { x, y } = this.offset(sheet);
    const scale = this.camera.zoom / sheet.zoom;
    this.mover.to(scale === 1 ? `translate(${x}px, ${y}px)` : `translate(${x}px, ${y}px) scale(${scale})`);
  }

  /** The next sheet: with no room around the view, or with all there is, most of it where the view is heading. */
  private next(room: number): Sheet {
    const { camera, shown, heading } = this;
    let { x, y } = camera;
    if (shown !== undefined && shown.zoom === camera.zoom) {
      // In step with the last one, so that nothing jumps by a part of a pixel.
      const offset = this.offset(shown);
      x = shown.x - offset.x / camera.zoom;
      y = shown.y - offset.y / camera.zoom;
    }
    const before = (extra: number, way: number, other: number): number =>
      Math.round(way === 0 || Math.abs(way) * 4 < Math.abs(other) || camera.zoom !== shown?.zoom ? extra / 2 : way > 0 ? BEHIND : extra - BEHIND);
    const originX = -before(this.width - camera.width, heading.x, heading.y);
    const originY = -before(this.height - camera.height, heading.y, heading.x);
    return room === 0
      ? { x, y, zoom: camera.zoom, left: 0, top: 0, right: camera.width, bottom: camera.height, originX, originY }
      : { x, y, zoom: camera.zoom, left: originX, top: originY, right: originX + this.width, bottom: originY + this.height, originX, originY };
  }

  private draft(room: number, now: number): Sheet {
    const sheet = this.next(room);
    const { context, ratio } = this;
    const width = sheet.right - sheet.left;
    const height = sheet.bottom - sheet.top;
    context.setTransform(ratio, 0, 0, ratio, -sheet.originX * ratio, -sheet.originY * ratio);
    context.globalAlpha = 1;
    context.save();
    if (room === 0) {
      context.beginPath();
      context.rect(sheet.left, sheet.top, width, height);
      context.clip();
    }
    context.clearRect(sheet.left, sheet.top, width, height);
    const view = { x: sheet.x + sheet.left / sheet.zoom, y: sheet.y + sheet.top / sheet.zoom, zoom: sheet.zoom, width, height };
    this.paint(context, view, sheet.left - sheet.originX, sheet.top - sheet.originY);
    context.restore();
    this.turn += 1;
    this.waiting = false;
    this.unchanged = 0;
    this.paintedAt = now;
    this.holes = false;
    return sheet;
  }

  private paintNow(room: number, now: number): void {
    this.sharpen = false;
    this.place(this.draft(room, now));
    this.show(true);
    this.await();
  }

  /** Paints ahead while the last picture is still on the screen, and changes them together. */
  private prepare(now: number): void {
    this.snapshot(this.draft(1, now));
  }

  private keep(): void {
    if (this.shown !== undefined) this.snapshot(this.shown);
  }

  private snapshot(sheet: Sheet): void {
    const turn = ++this.turn;
    this.waiting = true;
    void createImageBitmap(this.parts.bottom).then((bitmap) => {
      if (turn !== this.turn) return bitmap.close();
      this.waiting = false;
      this.bitmap.transferFromImageBitmap(bitmap);
      this.show(false);
      this.place(sheet);
      return undefined;
    });
  }

  private show(live: boolean): void {
    this.live = live;
    this.parts.bottom.style.visibility = live ? "visible" : "hidden";
    this.parts.still.style.visibility = live ? "hidden" : "visible";
  }

  private place(sheet: Sheet): void {
    const { parts } = this;
    if (sheet !== this.shown) {
      this.shown = sheet;
      const origin = `translate(${sheet.originX}px, ${sheet.originY}px)`;
      parts.bottom.style.transform = origin;
      parts.still.style.transform = origin;
      parts.world.style.transform = `scale(${sheet.zoom}) translate(${-sheet.x}px, ${-sheet.y}px)`;
      this.grid.place(sheet, sheet.originX, sheet.originY, this.width, this.height);
    }
    this.follow();
  }

  /** When nothing was painted for a while: sharp after zooming, and as a bitmap that costs nothing. */
  private await(): void {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      if (this.shown === undefined) return;
      if (this.shown.zoom !== this.camera.zoom) {
        this.sharpen = true;
        this.request();
      } else if (this.live) this.keep();
    }, REST_MS);
  }
}
