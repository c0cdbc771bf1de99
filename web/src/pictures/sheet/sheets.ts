/** Sheets that can be opened again: sweeps of this browser, and batches that anyone queued on the server. */
import { ask } from "../../client/http";
import { job as details } from "../../client/queue";
import type { Json } from "../../document/types";
import type { SheetAxis, SheetJob } from "../screens";
import { labelOf } from "./values";

export interface Sheet {
  readonly name: string;
  readonly at: number;
  readonly axes: readonly SheetAxis[];
  readonly jobs: readonly SheetJob[];
}
export interface BatchRow {
  readonly id: string;
  readonly jobs_count: number;
  readonly status: string;
  readonly create_time: number;
}
export interface BatchJob {
  readonly prompt_id: string;
  readonly values: Readonly<Record<string, Json>>;
}

const KEY = "sheets";
const KEPT = 20;

/** The sweeps of this browser, the newest first; what cannot be read is none. */
export function remembered(): readonly Sheet[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? (found as Sheet[]).filter((one) => Array.isArray(one?.axes) && Array.isArray(one.jobs)) : [];
  } catch {
    return [];
  }
}

export function remember(sheet: Sheet): void {
  localStorage.setItem(KEY, JSON.stringify([sheet, ...remembered()].slice(0, KEPT)));
}

export const batches = async (): Promise<readonly BatchRow[]> => (await ask<{ batches: BatchRow[] }>("GET /api/batches", { query: { limit: 50 } })).batches;

/** A batch as a sheet; inputs that are named by their node's number get its title. */
export async function sheetOfBatch(row: BatchRow): Promise<Sheet> {
  const { jobs } = await ask<{ jobs: BatchJob[] }>("GET /api/batches/{batch_id}", { path: { batch_id: row.id } });
  const first = jobs[0] && (await details(jobs[0].prompt_id).catch(() => undefined));
  const prompt = (first?.workflow.prompt ?? {}) as Readonly<Record<string, { readonly class_type: string; readonly _meta?: { readonly title?: string } }>>;
  const titleOf = (node: string): string => prompt[node]?._meta?.title ?? prompt[node]?.class_type ?? node;
  return { name: row.id, at: row.create_time, ...arranged(jobs, titleOf) };
}

interface Column {
  readonly keys: readonly string[];
  readonly values: readonly string[];
}

/**
 * Axes and places of a batch's jobs. Of a product the input that changes fastest is in the columns, all others in the
 * rows; inputs that change together (`zip`) are one axis.
 */
export function arranged(jobs: readonly BatchJob[], titleOf: (node: string) => string): { readonly axes: readonly SheetAxis[]; readonly jobs: readonly SheetJob[] } {
  const keys = Object.keys(jobs[0]?.values ?? {});
  const valueOf = (job: BatchJob, names: readonly string[]): string => names.map((name) => labelOf(job.values[name] ?? null)).join(", ");
  const distinct = (names: readonly string[]): Column => ({ keys: names, values: [...new Set(jobs.map((job) => valueOf(job, names)))] });
  const isProduct = keys.length > 1 && keys.reduce((count, key) => count * distinct([key]).values.length, 1) === jobs.length;
  const columns = isProduct ? [distinct(keys.slice(-1)), distinct(keys.slice(0, -1))] : [distinct(keys)];
  return {
    axes: columns.map((column) => ({ ...named(column.keys, titleOf), values: column.values })),
    jobs: jobs.map((job) => ({ id: job.prompt_id, values: columns.map((column) => valueOf(job, column.keys)) })),
  };
}

function named(keys: readonly string[], titleOf: (node: string) => string): { readonly title: string; readonly input: string } {
  const parts = keys.map((key) => {
    const at = key.lastIndexOf(".");
    return at < 0 ? ["", key] : [titleOf(key.slice(0, at)), key.slice(at + 1)];
  });
  return { title: [...new Set(parts.map(([title]) => title).filter(Boolean))].join(", "), input: parts.map(([, input]) => input).join(", ") };
}
