import type { Gesture } from "./gesture";
import type { Stage } from "./stage";

const EDGE = 24;

/** Moves the view while a drag is held at one of its edges, and the drag along with it. */
export class EdgePull {
  private held: { readonly event: PointerEvent; readonly gesture: Gesture } | undefined;
  private frame = 0;

  constructor(private readonly stage: Stage) {}

  follow(event: PointerEvent, gesture: Gesture): void {
    this.held = { event, gesture };
    if (this.frame === 0 && this.speed(event) !== undefined) this.frame = requestAnimationFrame(() => this.step());
  }

  stop(): void {
    this.held = undefined;
  }

  private step(): void {
    this.frame = 0;
    const { held } = this;
    const speed = held && this.speed(held.event);
    if (held === undefined || speed === undefined) return;
    this.stage.camera.panBy(speed.x, speed.y);
    held.gesture.move(this.stage.pointOf(held.event), held.event);
    this.frame = requestAnimationFrame(() => this.step());
  }

  /** How fast the view follows a pointer at its edge, pixels a frame; undefined away from the edges. */
  private speed(event: PointerEvent): { x: number; y: number } | undefined {
    const box = this.stage.parts.host.getBoundingClientRect();
    const pull = (at: number, low: number, high: number): number => (at < low + EDGE ? at - low - EDGE : at > high - EDGE ? at - high + EDGE : 0) / 3;
    const x = pull(event.clientX, box.left, box.right);
    const y = pull(event.clientY, box.top, box.bottom);
    return x === 0 && y === 0 ? undefined : { x: Math.max(-EDGE, Math.min(EDGE, x)), y: Math.max(-EDGE, Math.min(EDGE, y)) };
  }
}
