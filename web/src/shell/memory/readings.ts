/** What the server tells of memory, as gauges: the machine's and cards' own, then every count of bytes among its metrics. */
import { t } from "../../i18n";

export interface Machine {
  readonly system: { readonly ram_total: number; readonly ram_free: number };
  readonly devices: readonly { readonly name: string; readonly type: string; readonly vram_total: number; readonly vram_free: number }[];
}
export interface Gauge {
  readonly name: string;
  readonly bytes: number;
  readonly most?: number;
}

const LINE = /^safelight_(\w+_bytes)(?:\{([^}]*)\})? ([0-9.e+]+)$/;
/** Counts that only grow say how much was moved, not how much is held. */
const TOTAL = /^# TYPE safelight_(\w+) counter$/;

export function gaugesIn(machine: Machine, metrics: string): readonly Gauge[] {
  const { ram_total: most, ram_free: free } = machine.system;
  const found: Gauge[] = [{ name: t("gauges.ram", "RAM of the machine"), bytes: most - free, most }];
  for (const one of machine.devices) if (one.type !== "cpu") found.push({ name: one.name.replace(/^\w+:\d+ /, ""), bytes: one.vram_total - one.vram_free, most: one.vram_total });
  const counters = new Set<string>();
  const helps = new Map<string, string>();
  for (const line of metrics.split("\n")) {
    const counter = TOTAL.exec(line)?.[1];
    if (counter !== undefined) counters.add(counter);
    const [, named, help] = /^# HELP safelight_(\w+) (.*)$/.exec(line) ?? [];
    if (named !== undefined && help !== undefined) helps.set(named, help.replace(/\.$/, ""));
    const [, name = "", labels = "", value = ""] = LINE.exec(line) ?? [];
    if (name === "" || counters.has(name)) continue;
    found.push({ name: nameOf(name, labels, helps), bytes: Number(value) });
  }
  return found;
}

/** A gauge's name: what its labels say (a model, a device), or what the server says that it counts. */
function nameOf(name: string, labels: string, helps: ReadonlyMap<string, string>): string {
  const said = [...labels.matchAll(/="((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]).join(" · ");
  const help = name === "worker_held_bytes" ? t("gauges.worker", "Held by what computes") : (helps.get(name) ?? name);
  return said === "" ? help : `${help} · ${said}`;
}
