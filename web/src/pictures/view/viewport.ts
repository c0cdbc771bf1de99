/** Where a picture lies on its stage: `x`, `y` of its top left corner in CSS pixels, and CSS pixels for each of its pixels. */
export interface Viewport {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}
export interface Size {
  readonly width: number;
  readonly height: number;
}
export interface Point {
  readonly x: number;
  readonly y: number;
}

export const LARGEST = 64;
const SMALLEST = 0.02;
const MARGIN = 24;

/** The whole picture in the middle of the stage; small ones are shown larger, by whole steps so that pixels stay square. */
export function fitted(picture: Size, stage: Size, margin = MARGIN): Viewport {
  const room = Math.min((stage.width - 2 * margin) / picture.width, (stage.height - 2 * margin) / picture.height);
  const scale = Math.max(SMALLEST, room >= 2 ? Math.min(Math.floor(room), 8) : room);
  return centred(picture, stage, scale);
}

export function centred(picture: Size, stage: Size, scale: number): Viewport {
  // Whole pixels of the screen, so that edges stay sharp.
  return { x: Math.round((stage.width - picture.width * scale) / 2), y: Math.round((stage.height - picture.height * scale) / 2), scale };
}

/** Zoom so that the point of the picture under `at` stays there. */
export function zoomed(view: Viewport, at: Point, factor: number): Viewport {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  const by = scale / view.scale;
  return { x: at.x - (at.x - view.x) * by, y: at.y - (at.y - view.y) * by, scale };
}

export const panned = (view: Viewport, dx: number, dy: number): Viewport => ({ ...view, x: view.x + dx, y: view.y + dy });

/** A part of the picture stays on the stage, however far it is pulled. */
export function kept(view: Viewport, picture: Size, stage: Size): Viewport {
  const some = 48;
  return {
    ...view,
    x: Math.min(stage.width - some, Math.max(some - picture.width * view.scale, view.x)),
    y: Math.min(stage.height - some, Math.max(some - picture.height * view.scale, view.y)),
  };
}

export const toPicture = (view: Viewport, at: Point): Point => ({ x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale });

/** Two fingers: what lay between them stays between them. */
export function pinched(view: Viewport, before: readonly [Point, Point], after: readonly [Point, Point]): Viewport {
  const middle = (pair: readonly [Point, Point]): Point => ({ x: (pair[0].x + pair[1].x) / 2, y: (pair[0].y + pair[1].y) / 2 });
  const apart = (pair: readonly [Point, Point]): number => Math.max(1, Math.hypot(pair[0].x - pair[1].x, pair[0].y - pair[1].y));
  const from = middle(before);
  const to = middle(after);
  return zoomed(panned(view, to.x - from.x, to.y - from.y), to, apart(after) / apart(before));
}
