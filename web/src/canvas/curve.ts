/** Geometry of links: cubic curves that leave a node to the right and reach the next from the left. */

/** Distance of the control points from the ends of a link. */
export function reach(x1: number, y1: number, x2: number, y2: number): number {
  const dx = x2 - x1;
  const dy = Math.abs(y2 - y1);
  if (dx >= 0) return Math.max(Math.min(24, dx + dy / 2), Math.min(dx * 0.5, 220));
  return Math.min(260, 40 - dx * 0.3 + dy * 0.1);
}

/** Adds one curve to a path that already stands at (x1, y1). */
export function addCurve(path: CanvasPath, x1: number, y1: number, x2: number, y2: number): void {
  const d = reach(x1, y1, x2, y2);
  path.bezierCurveTo(x1 + d, y1, x2 - d, y2, x2, y2);
}

/** Gives the point of a curve at `t` in 0..1. */
export function pointAt(x1: number, y1: number, x2: number, y2: number, t: number): { x: number; y: number } {
  const d = reach(x1, y1, x2, y2);
  const u = 1 - t;
  const a = u * u * u;
  const b = 3 * u * u * t;
  const c = 3 * u * t * t;
  const e = t * t * t;
  return { x: a * x1 + b * (x1 + d) + c * (x2 - d) + e * x2, y: (a + b) * y1 + (c + e) * y2 };
}

function toSegment(px: number, py: number, ax: number, ay: number, bx: number, by: number): number {
  const dx = bx - ax;
  const dy = by - ay;
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / length));
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}

/** Distance of a point from a curve, to about a unit: enough for a pointer. */
export function distanceToCurve(px: number, py: number, x1: number, y1: number, x2: number, y2: number): number {
  const steps = 20;
  let best = Infinity;
  let ax = x1;
  let ay = y1;
  for (let i = 1; i <= steps; i++) {
    const { x, y } = pointAt(x1, y1, x2, y2, i / steps);
    best = Math.min(best, toSegment(px, py, ax, ay, x, y));
    ax = x;
    ay = y;
  }
  return best;
}
