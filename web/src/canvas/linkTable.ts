import type { Link, LinkId } from "../document/types";
import { distanceToWire, reach, wireMiddle, type LinkStyle } from "./curve";
import { tagAt } from "./portals";

export const LINK_HIDDEN = 1;
export const LINK_SELECTED = 2;
/** Shown as a pair of tags. */
export const LINK_PORTAL = 4;
/** Not on the way of the signal that is traced. */
export const LINK_FADED = 8;
/** What draws no line. */
export const LINK_UNDRAWN = LINK_HIDDEN | LINK_PORTAL;

function grown(old: Float32Array, size: number): Float32Array<ArrayBuffer> {
  const next = new Float32Array(size);
  next.set(old);
  return next;
}

/** Links of one graph as flat arrays: ends, boxes for culling, and an order by type so that one stroke draws a type. */
export class LinkTable {
  count = 0;
  style: LinkStyle = "spline";
  readonly ids: LinkId[] = [];
  readonly records: Link[] = [];
  readonly index = new Map<LinkId, number>();
  readonly types: string[] = [];
  readonly bends = new Map<LinkId, Float32Array>();
  x1 = new Float32Array(0);
  y1 = new Float32Array(0);
  x2 = new Float32Array(0);
  y2 = new Float32Array(0);
  minX = new Float32Array(0);
  minY = new Float32Array(0);
  maxX = new Float32Array(0);
  maxY = new Float32Array(0);
  type = new Uint16Array(0);
  flags = new Uint8Array(0);
  private readonly typeIndex = new Map<string, number>();
  private order = new Uint32Array(0);
  private sorted = false;

  clear(): void {
    this.count = 0;
    this.ids.length = 0;
    this.records.length = 0;
    this.index.clear();
    this.bends.clear();
    this.sorted = false;
  }

  private reserve(size: number): void {
    if (size <= this.x1.length) return;
    const room = Math.max(64, size + (size >> 1));
    this.x1 = grown(this.x1, room);
    this.y1 = grown(this.y1, room);
    this.x2 = grown(this.x2, room);
    this.y2 = grown(this.y2, room);
    this.minX = grown(this.minX, room);
    this.minY = grown(this.minY, room);
    this.maxX = grown(this.maxX, room);
    this.maxY = grown(this.maxY, room);
    const type = new Uint16Array(room);
    type.set(this.type);
    this.type = type;
    const flags = new Uint8Array(room);
    flags.set(this.flags);
    this.flags = flags;
  }

  private numberOf(type: string): number {
    let number = this.typeIndex.get(type);
    if (number === undefined) {
      number = this.types.push(type) - 1;
      this.typeIndex.set(type, number);
    }
    return number;
  }

  put(link: Link, x1: number, y1: number, x2: number, y2: number): void {
    let i = this.index.get(link.id);
    const type = this.numberOf(link.type);
    if (i === undefined) {
      i = this.count++;
      this.reserve(this.count);
      this.index.set(link.id, i);
      this.ids[i] = link.id;
      this.flags[i] = 0;
      this.sorted = false;
    } else if (this.type[i] !== type) this.sorted = false;
    this.records[i] = link;
    this.type[i] = type;
    this.flags[i] = ((this.flags[i] ?? 0) & ~LINK_UNDRAWN) | (link.hidden === true ? LINK_HIDDEN : link.portal !== undefined ? LINK_PORTAL : 0);
    if (link.bends !== undefined && link.bends.length > 0) {
      this.bends.set(link.id, new Float32Array(link.bends.flatMap((bend) => [bend.x, bend.y])));
    } else this.bends.delete(link.id);
    this.place(i, x1, y1, x2, y2);
  }

  /** Gives link `i` other ends. */
  place(i: number, x1: number, y1: number, x2: number, y2: number): void {
    this.x1[i] = x1;
    this.y1[i] = y1;
    this.x2[i] = x2;
    this.y2[i] = y2;
    const bends = this.bends.get(this.ids[i] ?? "");
    let d = reach(x1, y1, x2, y2);
    let left = Math.min(x1, x2);
    let right = Math.max(x1, x2);
    let top = Math.min(y1, y2);
    let bottom = Math.max(y1, y2);
    if (bends !== undefined) {
      d = 260;
      for (let b = 0; b < bends.length; b += 2) {
        left = Math.min(left, bends[b] ?? left);
        right = Math.max(right, bends[b] ?? right);
        top = Math.min(top, bends[b + 1] ?? top);
        bottom = Math.max(bottom, bends[b + 1] ?? bottom);
      }
    }
    // The curve passes its ends sideways only when it runs backwards.
    const over = x2 > x1 && bends === undefined ? 0 : d;
    this.minX[i] = left - over;
    this.maxX[i] = right + over;
    this.minY[i] = top;
    this.maxY[i] = bottom;
  }

  remove(id: LinkId): void {
    const i = this.index.get(id);
    if (i === undefined) return;
    const last = --this.count;
    this.index.delete(id);
    this.bends.delete(id);
    if (i !== last) {
      const moved = this.ids[last] as LinkId;
      this.ids[i] = moved;
      this.records[i] = this.records[last] as Link;
      this.index.set(moved, i);
      for (const array of [this.x1, this.y1, this.x2, this.y2, this.minX, this.minY, this.maxX, this.maxY, this.type, this.flags]) {
        array[i] = array[last] ?? 0;
      }
    }
    this.ids.length = last;
    this.records.length = last;
    this.sorted = false;
  }

  /** Indices of links, those of one type in a row. */
  byType(): Uint32Array {
    if (this.sorted) return this.order;
    const starts = new Uint32Array(this.types.length + 1);
    for (let i = 0; i < this.count; i++) starts[(this.type[i] ?? 0) + 1] = (starts[(this.type[i] ?? 0) + 1] ?? 0) + 1;
    for (let t = 1; t < starts.length; t++) starts[t] = (starts[t] ?? 0) + (starts[t - 1] ?? 0);
    this.order = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i++) {
      const t = this.type[i] ?? 0;
      const at = starts[t] ?? 0;
      this.order[at] = i;
      starts[t] = at + 1;
    }
    this.sorted = true;
    return this.order;
  }

  /** Which part of a link has its marker: the middle one, after rather than before a bend that others may run through. */
  markedSegment(id: LinkId): number {
    return ((this.bends.get(id)?.length ?? 0) + 2) >> 2;
  }

  /** The middle of link `i`, where its marker sits. */
  middle(i: number): { x: number; y: number } {
    const bends = this.bends.get(this.ids[i] ?? "");
    if (bends === undefined) return wireMiddle(this.style, this.x1[i] ?? 0, this.y1[i] ?? 0, this.x2[i] ?? 0, this.y2[i] ?? 0);
    const [ax, ay, bx, by] = this.segment(i, this.markedSegment(this.ids[i] as LinkId), bends);
    return wireMiddle(this.style, ax, ay, bx, by);
  }

  private segment(i: number, s: number, bends: Float32Array | undefined): [number, number, number, number] {
    const count = (bends?.length ?? 0) >> 1;
    const ax = s === 0 ? (this.x1[i] ?? 0) : (bends?.[s * 2 - 2] ?? 0);
    const ay = s === 0 ? (this.y1[i] ?? 0) : (bends?.[s * 2 - 1] ?? 0);
    const bx = s === count ? (this.x2[i] ?? 0) : (bends?.[s * 2] ?? 0);
    const by = s === count ? (this.y2[i] ?? 0) : (bends?.[s * 2 + 1] ?? 0);
    return [ax, ay, bx, by];
  }

  /** The link whose tag holds a point. */
  portalAt(x: number, y: number): LinkId | undefined {
    for (let i = 0; i < this.count; i++) {
      const name = (this.flags[i] ?? 0) & LINK_PORTAL ? (this.records[i]?.portal ?? "") : "";
      if (name !== "" && tagAt(name, x, y, this.x1[i] ?? 0, this.y1[i] ?? 0, this.x2[i] ?? 0, this.y2[i] ?? 0)) return this.ids[i];
    }
    return undefined;
  }

  /** Finds the link within `tolerance` of a point and which of its segments (between bends) that is. */
  at(x: number, y: number, tolerance: number): { link: Link; segment: number } | undefined {
    let best = tolerance;
    let found: { link: Link; segment: number } | undefined;
    for (let i = 0; i < this.count; i++) {
      if ((this.flags[i] ?? 0) & LINK_UNDRAWN) continue;
      if (x < (this.minX[i] ?? 0) - tolerance || x > (this.maxX[i] ?? 0) + tolerance) continue;
      if (y < (this.minY[i] ?? 0) - tolerance || y > (this.maxY[i] ?? 0) + tolerance) continue;
      const bends = this.bends.get(this.ids[i] ?? "");
      for (let s = 0; s <= (bends?.length ?? 0) >> 1; s++) {
        const [ax, ay, bx, by] = this.segment(i, s, bends);
        const distance = distanceToWire(this.style, x, y, ax, ay, bx, by);
        if (distance < best) {
          best = distance;
          found = { link: this.records[i] as Link, segment: s };
        }
      }
    }
    return found;
  }
}
