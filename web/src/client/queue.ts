import { ask } from "./http";
import type { NodeCost } from "./runs";
import { Store } from "./store";

export type JobState = "pending" | "in_progress" | "completed" | "failed" | "cancelled";
export interface ShownFile {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: string;
  readonly mediaType?: string;
  readonly nodeId?: string;
}
export interface Job {
  readonly id: string;
  /** What its workflow was called when it was queued. */
  readonly name: string | null;
  readonly status: JobState;
  readonly priority: number;
  readonly create_time: number;
  readonly execution_start_time: number | null;
  readonly execution_end_time: number | null;
  readonly execution_error: { readonly exception_message?: string; readonly node_id?: string | null } | null;
  readonly outputs_count: number;
  readonly preview_output: ShownFile | null;
}
export interface QueueView {
  readonly running: readonly Job[];
  readonly waiting: readonly Job[];
  readonly done: readonly Job[];
  readonly paused: boolean;
  readonly loaded: boolean;
}
export interface JobDetails extends Job {
  readonly outputs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What each node took, by its id in the prompt. */
  readonly nodes?: Readonly<Record<string, NodeCost>>;
  readonly workflow: {
    readonly prompt: Readonly<Record<string, { class_type: string; inputs: Readonly<Record<string, unknown>> }>>;
    readonly extra_data: { readonly extra_pnginfo?: { readonly workflow?: unknown } };
  };
}

const DONE_SHOWN = 60;
/** Changes come in bursts; the lists are fetched once for each. */
const GATHER_MS = 120;

export const queue = new Store<QueueView>({ running: [], waiting: [], done: [], paused: false, loaded: false });
let planned: ReturnType<typeof setTimeout> | undefined;

/** Fetch the lists again soon. */
export function refreshQueue(): void {
  planned ??= setTimeout(() => {
    planned = undefined;
    void load();
  }, GATHER_MS);
}

async function load(): Promise<void> {
  try {
    const [open, done] = await Promise.all([
      ask<{ jobs: Job[]; paused?: boolean }>("GET /api/jobs", { query: { status: "pending,in_progress", sort_order: "asc", limit: 500 } }),
      ask<{ jobs: Job[] }>("GET /api/jobs", { query: { status: "completed,failed,cancelled", limit: DONE_SHOWN } }),
    ]);
    const waiting = open.jobs.filter((job) => job.status === "pending").sort((a, b) => a.priority - b.priority);
    const running = open.jobs.filter((job) => job.status === "in_progress");
    queue.update((before) => ({ running, waiting, done: done.jobs, paused: open.paused ?? before.paused, loaded: true }));
  } catch {
    // The connection's state says so; the lists are fetched again when it is back.
  }
}

export const job = (id: string) => ask<JobDetails>("GET /api/jobs/{job_id}", { path: { job_id: id } });

export async function cancelJob(id: string): Promise<void> {
  await ask("POST /api/jobs/{job_id}/cancel", { path: { job_id: id } });
  refreshQueue();
}

export async function retryJob(id: string): Promise<void> {
  await ask("POST /api/jobs/{job_id}/retry", { path: { job_id: id } });
  refreshQueue();
}

/** Move a waiting job before the one at `index` of the list. */
export async function moveJob(id: string, index: number): Promise<void> {
  const others = queue.get().waiting.filter((one) => one.id !== id);
  const before = others[index - 1]?.priority;
  const after = others[index]?.priority;
  const number = before === undefined ? (after ?? 1) - 1 : after === undefined ? before + 1 : (before + after) / 2;
  await ask("POST /api/jobs/{job_id}/priority", { path: { job_id: id }, body: { number } });
  refreshQueue();
}

export async function pauseQueue(pause: boolean): Promise<void> {
  await ask("POST /queue", { body: { pause } as { clear?: boolean } });
  queue.update((before) => ({ ...before, paused: pause }));
}

export async function clearWaiting(): Promise<void> {
  await ask("POST /queue", { body: { clear: true } });
  refreshQueue();
}

export async function forgetDone(): Promise<void> {
  await ask("POST /history", { body: { clear: true } });
  refreshQueue();
}

export const interrupt = (id?: string) => ask("POST /interrupt", { body: id === undefined ? {} : { prompt_id: id } });

/** Whether a file is played rather than shown. */
export const plays = (name: string): boolean => /\.(mp4|webm|mov|m4v|mkv)$/i.test(name);

/** The address of a file that a node showed; `small` asks for a preview of it. */
export function viewAddress(file: ShownFile, small = false): string {
  const query = new URLSearchParams({ filename: file.filename, subfolder: file.subfolder ?? "", type: file.type });
  if (small) query.set("preview", "webp;80");
  return `/view?${query}`;
}
