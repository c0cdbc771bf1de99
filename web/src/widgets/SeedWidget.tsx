import { say } from "../canvas/text";
import { NumberWidget } from "./NumberWidget";
import type { Edit, WidgetProps } from "./services";
import type { Json } from "../document/types";

const MODES = ["fixed", "increment", "decrement", "randomize"] as const;
const SIGNS: Readonly<Record<string, string>> = { fixed: "=", increment: "+1", decrement: "−1", randomize: "∿" };

/** A seed that JSON keeps exactly: up to 2^53, and within what the input takes. */
export function randomSeed(max: number): number {
  const words = crypto.getRandomValues(new Uint32Array(2));
  const seed = ((words[0] ?? 0) & 0x1fffff) * 2 ** 32 + (words[1] ?? 0);
  return seed % (Math.min(max, Number.MAX_SAFE_INTEGER) + 1);
}

/** A seed, a dice for a new one, and what becomes of it after each run. */
export function SeedWidget(props: WidgetProps & { readonly control: Json | undefined; readonly editControl: Edit }) {
  const { spec, edit, label, tab, disabled, control, editControl } = props;
  const mode = typeof control === "string" ? control : "randomize";
  const next = MODES[(MODES.indexOf(mode as (typeof MODES)[number]) + 1) % MODES.length] ?? "fixed";
  const words: Record<string, string> = {
    fixed: say("widget.fixed", "stays"), increment: say("widget.increment", "one more"), decrement: say("widget.decrement", "one less"), randomize: say("widget.randomize", "random"),
  };
  const after = say("widget.after", "{label} after each run: {mode}", { label, mode: words[mode] ?? mode });
  return (
    <span className="seed">
      <NumberWidget {...props} />
      <button type="button" className="small" tabIndex={tab} disabled={disabled} aria-label={say("widget.dice", "New random {label}", { label })} title={say("widget.dice", "New random {label}", { label })}
        onClick={() => edit.set(randomSeed(spec.max ?? Number.MAX_SAFE_INTEGER))}>⚄</button>
      <button type="button" className="small" tabIndex={tab} disabled={disabled} aria-label={after} title={after} data-mode={mode} onClick={() => editControl.set(next)}>{SIGNS[mode] ?? mode}</button>
    </span>
  );
}
