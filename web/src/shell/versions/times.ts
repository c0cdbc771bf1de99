import { t } from "../../i18n";

const DAY_MS = 86_400_000;

/** A time as people say it: today and yesterday by name. */
export function whenText(at: number, now = Date.now()): string {
  const time = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (at >= midnight) return t("when.today", "Today, {time}", { time });
  if (at >= midnight - DAY_MS) return t("when.yesterday", "Yesterday, {time}", { time });
  return `${new Date(at).toLocaleDateString()}, ${time}`;
}
