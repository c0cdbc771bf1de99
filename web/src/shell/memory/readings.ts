/** What the server tells of memory, as gauges: the machine's and cards' own, the weights by tier and model, other counts of bytes. */
import { t } from "../../i18n";

export interface Machine {
  readonly system: { readonly ram_total: number; readonly ram_free: number };
  readonly devices: readonly { readonly name: string; readonly type: string; readonly vram_total: number; readonly vram_free: number }[];
}
/** What the worker holds of weights and of kept results; empty before its first job. */
export interface Held {
  readonly device_bytes?: number;
  readonly device_limit?: number;
  readonly ram_bytes?: number;
  readonly ram_limit?: number;
  readonly staging_bytes?: number;
  readonly cache_bytes?: number;
  readonly cache_limit?: number;
  readonly disk_cache_bytes?: number;
  readonly disk_cache_limit?: number;
  readonly models?: readonly { readonly name: string; readonly device_bytes: number; readonly ram_bytes: number }[];
}
export interface Gauge {
  readonly name: string;
  readonly bytes: number;
  readonly most?: number;
  /** A part of the gauges before it. */
  readonly part?: boolean;
}

const LINE = /^safelight_(\w+_bytes)(?:\{([^}]*)\})? ([0-9.e+]+)$/;
/** Counts that only grow say how much was moved, not how much is held. */
const TOTAL = /^# TYPE safelight_(\w+) counter$/;

export function gaugesIn(machine: Machine, held: Held, metrics: string): readonly Gauge[] {
  const { ram_total: most, ram_free: free } = machine.system;
  const found: Gauge[] = [{ name: t("gauges.ram", "RAM of the machine"), bytes: most - free, most }];
  for (const one of machine.devices) if (one.type !== "cpu") found.push({ name: one.name.replace(/^\w+:\d+ /, ""), bytes: one.vram_total - one.vram_free, most: one.vram_total });
  found.push(...heldIn(held));
  const counters = new Set<string>();
  const helps = new Map<string, string>();
  for (const line of metrics.split("\n")) {
    const counter = TOTAL.exec(line)?.[1];
    if (counter !== undefined) counters.add(counter);
    const [, named, help] = /^# HELP safelight_(\w+) (.*)$/.exec(line) ?? [];
    if (named !== undefined && help !== undefined) helps.set(named, help.replace(/\.$/, ""));
    const [, name = "", labels = "", value = ""] = LINE.exec(line) ?? [];
    if (name === "" || counters.has(name) || /^(weights|cache)_/.test(name)) continue;
    found.push({ name: nameOf(name, labels, helps), bytes: Number(value) });
  }
  return found;
}

function heldIn(held: Held): readonly Gauge[] {
  const tier = (name: string, bytes = 0, most = 0): readonly Gauge[] => (bytes + most === 0 ? [] : [{ name, bytes, ...(most > 0 ? { most } : {}) }]);
  return [
    ...tier(t("gauges.device", "Weights on the card"), held.device_bytes, held.device_limit),
    ...tier(t("gauges.weights", "Weights in RAM"), held.ram_bytes, held.ram_limit),
    ...tier(t("gauges.staging", "Pinned for copies"), held.staging_bytes),
    ...(held.models ?? []).map((one) => ({ name: one.name, bytes: one.device_bytes + one.ram_bytes, part: true })),
    ...tier(t("gauges.cache", "Results kept in RAM"), held.cache_bytes, held.cache_limit),
    ...tier(t("gauges.disk", "Results kept on disk"), held.disk_cache_bytes, held.disk_cache_limit),
  ];
}

/** A gauge's name: what its labels say (a model, a device), or what the server says that it counts. */
function nameOf(name: string, labels: string, helps: ReadonlyMap<string, string>): string {
  const said = [...labels.matchAll(/="((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]).join(" · ");
  const help = name === "worker_held_bytes" ? t("gauges.worker", "Held by what computes") : (helps.get(name) ?? name);
  return said === "" ? help : `${help} · ${said}`;
}
