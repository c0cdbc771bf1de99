import type { InputSpec } from "../document/types";

/** Limits and grain of a number input, read once from its description. */
export interface NumberRule {
  readonly whole: boolean;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** Values are rounded to multiples of this; 0: not at all. */
  readonly round: number;
}

export function ruleOf(spec: InputSpec): NumberRule {
  const whole = spec.type === "INT";
  const step = spec.step !== undefined && spec.step > 0 ? spec.step : whole ? 1 : 0.1;
  const round = spec.options["round"];
  return { whole, min: spec.min ?? -Infinity, max: spec.max ?? Infinity, step, round: whole ? 1 : typeof round === "number" ? round : 0 };
}

/** A tenth of the step, as far as the value takes it: what Ctrl gives. */
export function finer(rule: NumberRule): NumberRule {
  const step = Math.max(Number((rule.step / 10).toPrecision(12)), rule.round);
  return { ...rule, step: Math.min(rule.step, step) };
}

function digitsOf(grain: number): number {
  const text = grain.toString();
  if (text.includes("e-")) return Number(text.split("e-")[1]);
  return text.split(".")[1]?.length ?? 0;
}

/** Brings a number into its range and onto its grain, without the dust of binary fractions. */
export function settle(value: number, rule: NumberRule): number {
  let kept = Math.min(rule.max, Math.max(rule.min, value));
  if (rule.round > 0) kept = Number((Math.round(kept / rule.round) * rule.round).toFixed(digitsOf(rule.round)));
  return Number.isFinite(kept) ? kept : 0;
}

/** The next value `steps` steps away; lands on multiples of the step, counted from the minimum where there is one. */
export function stepped(value: number, steps: number, rule: NumberRule): number {
  const base = Number.isFinite(rule.min) ? rule.min : 0;
  const place = (value - base) / rule.step;
  const onGrid = Math.abs(place - Math.round(place)) < 1e-6;
  const from = onGrid ? Math.round(place) : steps > 0 ? Math.floor(place) : Math.ceil(place);
  const raw = base + (from + steps) * rule.step;
  const digits = Math.max(digitsOf(rule.step), Number.isFinite(rule.min) ? digitsOf(rule.min) : 0);
  return settle(Number(raw.toFixed(Math.min(12, digits))), rule);
}

/** A value as it is shown: as many decimals as the step has, more only where the value has more. */
export function shown(value: number, rule: NumberRule): string {
  if (rule.whole) return String(value);
  const digits = Math.min(6, Math.max(1, digitsOf(rule.round > 0 ? rule.round : rule.step)));
  const fixed = value.toFixed(digits);
  return Math.abs(Number(fixed) - value) < 1e-9 ? fixed : String(Number(value.toFixed(6)));
}

/**
 * Works out a number or a sum such as `1024/2`, `(512 + 64) * 1.5`, `2^10` or `50%`.
 * Gives undefined for anything else: nothing typed is ever executed.
 */
export function calculate(text: string): number | undefined {
  const tokens = text.replaceAll(",", ".").match(/\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|[-+*/^%()]/gi) ?? [];
  if (tokens.join("") !== text.replaceAll(",", ".").replaceAll(/\s/g, "") || tokens.length === 0 || tokens.length > 200) return undefined;
  let at = 0;
  const sum = (): number => {
    let left = product();
    while (tokens[at] === "+" || tokens[at] === "-") left = tokens[at++] === "+" ? left + product() : left - product();
    return left;
  };
  const product = (): number => {
    let left = signed();
    while (tokens[at] === "*" || tokens[at] === "/") left = tokens[at++] === "*" ? left * signed() : left / signed();
    return left;
  };
  const signed = (): number => {
    if (tokens[at] === "-") return at++, -signed();
    if (tokens[at] === "+") return at++, signed();
    const base = atom();
    if (tokens[at] !== "^") return base;
    at++;
    return base ** signed();
  };
  const atom = (): number => {
    const token = tokens[at++];
    if (token === "(") {
      const inner = sum();
      if (tokens[at++] !== ")") return NaN;
      return inner;
    }
    const number = token === undefined || !/^[\d.]/.test(token) ? NaN : Number(token);
    if (tokens[at] !== "%") return number;
    at++;
    return number / 100;
  };
  const result = sum();
  return at === tokens.length && Number.isFinite(result) ? result : undefined;
}
