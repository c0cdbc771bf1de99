import { ServerError } from "../client/http";
import { Store } from "../client/store";
import { t } from "../i18n";

export interface Toast {
  readonly id: number;
  readonly kind: "note" | "problem";
  readonly text: string;
  readonly details: string;
  readonly action?: { readonly label: string; run(): void };
}
export const toasts = new Store<readonly Toast[]>([]);
const NOTE_MS = 6000;
const MOST = 4;
let next = 1;

export function say(text: string, kind: Toast["kind"] = "note", details = "", action?: Toast["action"]): void {
  const id = next++;
  toasts.update((all) => [...all.slice(1 - MOST), { id, kind, text, details, ...(action ? { action } : {}) }]);
  // Problems stay until somebody has read them.
  if (kind === "note") setTimeout(() => dismiss(id), NOTE_MS);
}

export function dismiss(id: number): void {
  toasts.update((all) => all.filter((toast) => toast.id !== id));
}

export function sayError(error: unknown): void {
  if (error instanceof ServerError) {
    const offline = error.status === 0;
    say(offline ? t("error.offline", "The server does not answer") : error.message, "problem", error.details);
  } else say(error instanceof Error ? error.message : String(error), "problem");
}
