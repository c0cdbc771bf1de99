/** A mask being painted: layers, the stroke under the hand, and a history that takes back every step. */
import { Store } from "../../client/store";
import { blend, combined, cut, feather, fillShape, flood, invert, line, makePlane, put, stamp, union, wholeOf, type Plane, type Point, type Rect, type Shape } from "./pixels";

export interface Layer {
  readonly id: number;
  readonly name: string;
  readonly plane: Plane;
  readonly shown: boolean;
  readonly opacity: number;
}
export interface Brush {
  /** Diameter in pixels of the picture. */
  readonly size: number;
  /** 0 to 1. */
  readonly hardness: number;
  readonly opacity: number;
  readonly erase: boolean;
}
interface Step {
  readonly bytes: number;
  readonly changes: boolean;
  undo(): void;
  redo(): void;
}
export interface PaintState {
  readonly layers: readonly Layer[];
  readonly active: number;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
}

/** Bytes of pixels that the history may keep; the oldest steps go first. */
const HISTORY_BYTES = 192 << 20;
const EMPTY: Rect = { x: 0, y: 0, width: 0, height: 0 };

export class Painting {
  readonly state: Store<PaintState>;
  /** What all layers come to. */
  readonly mask: Plane;
  /** Called with what has to be drawn again. */
  onPaint: (rect: Rect) => void = () => undefined;
  readonly #done: Step[] = [];
  readonly #undone: Step[] = [];
  readonly #stroke: Plane;
  readonly #before: Plane;
  #brush: Brush | undefined;
  #touched: Rect = EMPTY;
  #last: Point = { x: 0, y: 0 };
  #rest = 0;
  #next = 2;

  constructor(
    readonly width: number,
    readonly height: number,
    existing: Uint8ClampedArray | undefined,
    readonly nameOf: (number: number) => string,
  ) {
    const plane = makePlane(width, height);
    if (existing !== undefined) plane.data.set(existing);
    this.mask = makePlane(width, height);
    this.#stroke = makePlane(width, height);
    this.#before = makePlane(width, height);
    this.state = new Store<PaintState>({ layers: [{ id: 1, name: nameOf(1), plane, shown: true, opacity: 1 }], active: 1, canUndo: false, canRedo: false });
    this.#compose(wholeOf(plane));
  }

  get layer(): Layer {
    const { layers, active } = this.state.get();
    return layers.find((one) => one.id === active) ?? layers[0]!;
  }
  get changed(): boolean {
    return this.#done.some((step) => step.changes);
  }

  /** Put the brush down. `pressure` (0 to 1) scales its size. */
  begin(at: Point, brush: Brush, pressure = 1): void {
    this.#open(brush);
    this.#last = at;
    this.#rest = 0;
    this.#stamp(at, pressure);
  }

  move(at: Point, pressure = 1): void {
    if (this.#brush === undefined) return;
    const radius = (this.#brush.size / 2) * pressure;
    let rect = EMPTY;
    this.#rest = line(this.#last, at, radius, this.#rest, (point) => {
      rect = union(rect, stamp(this.#stroke, point, Math.max(0.5, radius), this.#brush?.hardness ?? 1));
    });
    this.#last = at;
    this.#show(rect);
  }

  end(): void {
    if (this.#brush === undefined) return;
    this.#brush = undefined;
    this.#keep(this.#touched);
  }

  /** Give up the stroke: the second finger of a pinch has come down. */
  abandon(): void {
    if (this.#brush === undefined) return;
    this.#brush = undefined;
    const { plane } = this.layer;
    put(plane, this.#touched, cut(this.#before, this.#touched));
    this.#wipe();
    this.#compose(this.#touched);
  }

  flood(at: Point, picture: ImageData, tolerance: number, brush: Brush): void {
    this.#open(brush);
    this.#show(flood(this.#stroke, picture, at, tolerance));
    this.end();
  }

  fill(shape: Shape, points: readonly Point[], brush: Brush): void {
    this.#open(brush);
    this.#show(fillShape(this.#stroke, shape, points));
    this.end();
  }

  invert(): void {
    this.#whole((plane) => invert(plane));
  }
  feather(radius: number): void {
    this.#whole((plane) => feather(plane, radius));
  }
  clear(): void {
    this.#whole((plane) => plane.data.fill(0));
  }

  addLayer(): void {
    const id = this.#next++;
    const layer: Layer = { id, name: this.nameOf(id), plane: makePlane(this.width, this.height), shown: true, opacity: 1 };
    this.#arrange([...this.state.get().layers, layer], id);
  }
  removeLayer(id: number): void {
    const { layers, active } = this.state.get();
    if (layers.length < 2) return;
    const rest = layers.filter((one) => one.id !== id);
    this.#arrange(rest, active === id ? rest.at(-1)!.id : active);
  }
  setLayer(id: number, set: Partial<Pick<Layer, "shown" | "opacity" | "name">>): void {
    const { layers, active } = this.state.get();
    this.#arrange(layers.map((one) => (one.id === id ? { ...one, ...set } : one)), active);
  }
  choose(id: number): void {
    this.state.update((before) => ({ ...before, active: id }));
  }

  undo(): boolean {
    this.abandon();
    const step = this.#done.pop();
    if (step === undefined) return false;
    step.undo();
    this.#undone.push(step);
    this.#tell();
    return true;
  }
  redo(): boolean {
    const step = this.#undone.pop();
    if (step === undefined) return false;
    step.redo();
    this.#done.push(step);
    this.#tell();
    return true;
  }

  #open(brush: Brush): void {
    this.abandon();
    this.#brush = brush;
    this.#touched = EMPTY;
    this.#before.data.set(this.layer.plane.data);
  }

  #stamp(at: Point, pressure: number): void {
    if (this.#brush === undefined) return;
    this.#show(stamp(this.#stroke, at, Math.max(0.5, (this.#brush.size / 2) * pressure), this.#brush.hardness));
  }

  #show(rect: Rect): void {
    if (this.#brush === undefined || rect.width === 0 || rect.height === 0) return;
    blend(this.layer.plane, this.#before, this.#stroke, rect, this.#brush.opacity, this.#brush.erase);
    this.#touched = union(this.#touched, rect);
    this.#compose(rect);
  }

  #wipe(): void {
    const { x, y, width, height } = this.#touched;
    for (let row = y; row < y + height; row++) this.#stroke.data.fill(0, row * this.width + x, row * this.width + x + width);
  }

  /** Put what changed within a rectangle of the active layer, against `#before`, into the history. */
  #keep(rect: Rect): void {
    this.#wipe();
    if (rect.width === 0 || rect.height === 0) return;
    const { plane } = this.layer;
    const before = cut(this.#before, rect);
    const after = cut(plane, rect);
    const lay = (bytes: Uint8ClampedArray): void => {
      put(plane, rect, bytes);
      this.#compose(rect);
    };
    this.#push({ bytes: before.length * 2, changes: true, undo: () => lay(before), redo: () => lay(after) });
  }

  #whole(change: (plane: Plane) => void): void {
    this.abandon();
    const { plane } = this.layer;
    this.#before.data.set(plane.data);
    this.#touched = EMPTY;
    change(plane);
    this.#compose(wholeOf(plane));
    this.#keep(wholeOf(plane));
  }

  #arrange(layers: readonly Layer[], active: number): void {
    this.abandon();
    const before = this.state.get();
    const lay = (to: { readonly layers: readonly Layer[]; readonly active: number }): void => {
      this.state.update((state) => ({ ...state, layers: to.layers, active: to.active }));
      this.#compose(wholeOf(this.mask));
    };
    lay({ layers, active });
    this.#push({ bytes: 0, changes: true, undo: () => lay(before), redo: () => lay({ layers, active }) });
  }

  #push(step: Step): void {
    this.#done.push(step);
    this.#undone.length = 0;
    let sum = this.#done.reduce((bytes, one) => bytes + one.bytes, 0);
    while (sum > HISTORY_BYTES && this.#done.length > 1) sum -= this.#done.shift()!.bytes;
    this.#tell();
  }

  #tell(): void {
    this.state.update((before) => ({ ...before, canUndo: this.#done.length > 0, canRedo: this.#undone.length > 0 }));
  }

  #compose(rect: Rect): void {
    combined(this.state.get().layers, this.mask, rect);
    this.onPaint(rect);
  }
}
