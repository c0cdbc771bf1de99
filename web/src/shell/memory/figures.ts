/** A plan of memory as the server tells it, and its figures as people read them. */
import type { NodeId } from "../../document/types";

export interface PlannedNode {
  readonly node: NodeId;
  readonly title: string;
  readonly fits: boolean;
  readonly peak_bytes: number;
  readonly resident_bytes: number | null;
  readonly weight_bytes: number;
  readonly moved_bytes: number | null;
  readonly compute_seconds: number;
  readonly stall_seconds: number | null;
  readonly would_fit: readonly string[];
}
export interface MemoryPlan {
  readonly fits: boolean;
  readonly card: { readonly name: string; readonly vram_bytes: number; readonly usable_bytes: number };
  readonly smallest_vram_bytes: number;
  readonly peak_bytes: number;
  readonly moved_bytes: number | null;
  readonly compute_seconds: number;
  readonly stall_seconds: number | null;
  readonly nodes: readonly PlannedNode[];
}
/** All that the run takes of the card, with what its driver keeps. */
export const whole = (plan: MemoryPlan): number => (plan.fits ? plan.peak_bytes + plan.card.vram_bytes - plan.card.usable_bytes : plan.smallest_vram_bytes);

const GIB = 2 ** 30;
/** Bytes as people speak of cards: `5.2 GB`, `340 MB`; below a megabyte `80 kB`. */
export function gigabytes(bytes: number): string {
  if (bytes > 0 && bytes < 2 ** 20) return `${Math.ceil(bytes / 2 ** 10)} kB`;
  if (bytes < GIB / 10) return `${Math.round(bytes / 2 ** 20)} MB`;
  const number = bytes / GIB;
  return `${(number < 99.95 ? number.toFixed(1) : number.toFixed(0)).replace(/\.0$/, "")} GB`;
}
export const seconds = (value: number): string => (value < 0.0995 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
