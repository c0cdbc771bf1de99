/** When a picture was made, as one asks for it. */

/** Since when: a span up to now, or one day as `2026-01-31`. */
export type Span = "all" | "today" | "week" | "month" | `${number}-${string}`;

/** The times that a span lets through, in milliseconds. */
export function timesOf(span: Span, now = new Date()): { readonly after?: number; readonly before?: number } {
  if (span === "all") return {};
  const days = { today: 0, week: 6, month: 29 } as const;
  if (span in days) return { after: startOf(now, -days[span as keyof typeof days]) };
  const [year = 0, month = 1, day = 1] = span.split("-").map(Number);
  const chosen = new Date(year, month - 1, day);
  return { after: startOf(chosen, 0), before: startOf(chosen, 1) };
}

/** Midnight of a day as the clock here has it, also where that day is not 24 hours long. */
const startOf = (day: Date, later: number): number => new Date(day.getFullYear(), day.getMonth(), day.getDate() + later).getTime();
export const dayOf = (day: Date): Span => `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}-${String(day.getDate()).padStart(2, "0")}`;
