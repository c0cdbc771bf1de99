import { addCurve } from "./curve";
import type { Camera, Point } from "./camera";
import type { Palette } from "./palette";

export interface Wire {
  readonly fixed: Point;
  readonly type: string;
  /** True when the fixed end is an output, so that the free end is an input. */
  readonly forward: boolean;
  /** Points that it runs through, from the fixed end. */
  readonly via?: readonly Point[];
  /** Where its other end stays, when that is not in hand. */
  readonly to?: Point;
}

/** What a gesture shows above everything. */
export interface OverlayState {
  readonly marquee?: { readonly from: Point; readonly to: Point };
  readonly wires?: readonly Wire[];
  readonly free?: Point;
  readonly snap?: Point;
  /** The handle beside a bend that a new link is drawn from, `on` while the pointer is on it. */
  readonly sprout?: { readonly link: string; readonly bend: number; readonly from: Point; readonly at: Point; readonly type: string; readonly on: boolean };
  /** True under a finger, which hides what it is on. */
  readonly finger?: boolean;
  /** Why the port under the pointer cannot be linked. */
  readonly refusal?: string;
}

const EMPTY: OverlayState = {};

/** The top canvas: redrawn only when a gesture or the camera moved. */
export class Overlay {
  state: OverlayState = EMPTY;
  private drawn = false;

  constructor(
    private readonly context: CanvasRenderingContext2D,
    private readonly camera: Camera,
    private readonly palette: Palette,
  ) {}

  get idle(): boolean {
    return this.state === EMPTY && !this.drawn;
  }

  clear(): void {
    this.state = EMPTY;
  }

  draw(ratio: number): void {
    const { context, camera, palette, state } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, camera.width, camera.height);
    this.drawn = state !== EMPTY;
    // A canvas that was drawn on is copied with every frame of the page, for as long as it is seen.
    context.canvas.style.visibility = this.drawn ? "visible" : "hidden";
    if (!this.drawn) return;
    const scale = camera.zoom * ratio;
    context.setTransform(scale, 0, 0, scale, -camera.x * scale, -camera.y * scale);
    if (state.marquee !== undefined) this.marquee(state.marquee.from, state.marquee.to);
    if (state.sprout !== undefined) this.sprout(state.sprout);
    if (state.wires !== undefined && state.free !== undefined) this.wires(state.wires, state.snap ?? state.free);
    if (state.snap !== undefined) this.ring(state.snap, palette.get("text"));
    if (state.refusal !== undefined && state.free !== undefined) this.refusal(state.free, state.refusal);
  }

  private marquee(from: Point, to: Point): void {
    const { context, palette } = this;
    context.fillStyle = palette.get("focus");
    context.globalAlpha = 0.1;
    context.fillRect(from.x, from.y, to.x - from.x, to.y - from.y);
    context.globalAlpha = 1;
    context.strokeStyle = palette.get("focus");
    context.lineWidth = 1 / this.camera.zoom;
    context.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
  }

  private wires(wires: readonly Wire[], end: Point): void {
    const { context } = this;
    context.lineWidth = Math.max(2.5, 1.5 / this.camera.zoom);
    for (const wire of wires) {
      context.strokeStyle = this.palette.socket(wire.type);
      context.beginPath();
      let from = wire.fixed;
      for (const to of [...(wire.via ?? []), wire.to ?? end]) {
        const [a, b] = wire.forward ? [from, to] : [to, from];
        context.moveTo(a.x, a.y);
        addCurve(context, a.x, a.y, b.x, b.y);
        from = to;
      }
      context.stroke();
    }
  }

  private sprout({ from, at, type, on }: NonNullable<OverlayState["sprout"]>): void {
    const { context, palette } = this;
    const radius = on ? 7 : 6;
    context.lineWidth = 2;
    context.strokeStyle = palette.socket(type);
    context.fillStyle = on ? palette.socket(type) : palette.get("surface-0");
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(at.x - radius, at.y);
    context.moveTo(at.x + radius, at.y);
    context.arc(at.x, at.y, radius, 0, 7);
    context.fill();
    context.stroke();
    context.strokeStyle = on ? palette.get("surface-0") : palette.socket(type);
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(at.x - 3, at.y);
    context.lineTo(at.x + 3, at.y);
    context.moveTo(at.x, at.y - 3);
    context.lineTo(at.x, at.y + 3);
    context.stroke();
  }

  private ring(at: Point, colour: string): void {
    const { context } = this;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(at.x, at.y, this.state.finger === true ? Math.max(11, 34 / this.camera.zoom) : 11, 0, 7);
    context.stroke();
  }

  private refusal(at: Point, reason: string): void {
    const { context, palette } = this;
    const size = 13 / this.camera.zoom;
    context.font = `${size}px ${palette.font}`;
    const width = context.measureText(reason).width + size * 1.4;
    context.fillStyle = palette.get("surface-3");
    context.beginPath();
    context.roundRect(at.x + size, at.y + size, width, size * 2, size / 2);
    context.fill();
    context.fillStyle = palette.get("text");
    context.textBaseline = "middle";
    context.fillText(reason, at.x + size * 1.7, at.y + size * 2);
  }
}
