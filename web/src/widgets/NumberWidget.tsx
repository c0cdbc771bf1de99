import { useRef, useState } from "react";
import { calculate, finer, ruleOf, settle, shown, stepped, type NumberRule } from "./number";
import type { WidgetProps } from "./services";

const PIXELS_PER_STEP = 4;

export function numberOf(value: unknown, rule: NumberRule): number {
  const number = typeof value === "number" ? value : Number(value);
  return Number.isFinite(number) ? number : settle(0, rule);
}

/** A number that is dragged, stepped with arrows, or typed as a sum. */
export function NumberWidget({ spec, value, edit, label, tab, disabled }: WidgetProps) {
  const rule = ruleOf(spec);
  const current = numberOf(value, rule);
  const [draft, setDraft] = useState<string>();
  const pull = useRef<{ x: number; from: number; steps: number; step: number; moved: boolean } | undefined>(undefined);
  const field = useRef<HTMLInputElement>(null);

  const finish = (): void => {
    if (draft === undefined) return;
    const typed = calculate(draft);
    setDraft(undefined);
    if (typed !== undefined) put(settle(typed, rule));
  };
  const put = (next: number): void => {
    if (next !== current) edit.set(next);
  };
  return (
    <input
      ref={field}
      className="number-field"
      type="text"
      inputMode="decimal"
      role="spinbutton"
      autoComplete="off"
      aria-label={label}
      aria-valuenow={current}
      aria-valuemin={Number.isFinite(rule.min) ? rule.min : undefined}
      aria-valuemax={Number.isFinite(rule.max) ? rule.max : undefined}
      aria-invalid={draft !== undefined && calculate(draft) === undefined ? true : undefined}
      data-editing={draft === undefined ? undefined : ""}
      tabIndex={tab}
      disabled={disabled}
      value={draft ?? shown(current, rule)}
      onFocus={(event) => event.currentTarget.select()}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={finish}
      onDoubleClick={(event) => {
        setDraft(shown(current, rule));
        event.currentTarget.select();
      }}
      onKeyDown={(event) => {
        const by = event.shiftKey ? 10 : 1;
        const grain = event.ctrlKey || event.metaKey ? finer(rule) : rule;
        if (event.key === "Enter") {
          finish();
          if (draft === undefined) setDraft(shown(current, rule));
        } else if (event.key === "Escape" && draft !== undefined) {
          event.preventDefault();
          setDraft(undefined);
        } else if (draft === undefined && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
          event.preventDefault();
          put(stepped(current, event.key === "ArrowUp" ? by : -by, grain));
        } else if (draft === undefined && (event.key === "PageUp" || event.key === "PageDown")) {
          event.preventDefault();
          put(stepped(current, event.key === "PageUp" ? 10 : -10, rule));
        }
      }}
      onPointerDown={(event) => {
        if (event.button !== 0 || draft !== undefined || disabled) return;
        // No text selection while pulling; the focus comes when it was a click.
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        pull.current = { x: event.clientX, from: current, steps: 0, step: rule.step, moved: false };
      }}
      onPointerMove={(event) => {
        const state = pull.current;
        if (state === undefined) return;
        const distance = event.clientX - state.x;
        if (!state.moved && Math.abs(distance) < 3) return;
        if (!state.moved) edit.begin();
        state.moved = true;
        const grain = event.ctrlKey || event.metaKey ? finer(rule) : rule;
        const steps = Math.trunc(distance / PIXELS_PER_STEP) * (event.shiftKey ? 10 : 1);
        if (steps === state.steps && grain.step === state.step) return;
        state.steps = steps;
        state.step = grain.step;
        edit.set(steps === 0 ? state.from : stepped(state.from, steps, grain));
      }}
      onPointerUp={() => {
        const state = pull.current;
        pull.current = undefined;
        if (state?.moved === true) edit.commit();
        else if (state !== undefined) field.current?.focus();
      }}
      onPointerCancel={() => {
        if (pull.current?.moved === true) edit.cancel();
        pull.current = undefined;
      }}
    />
  );
}
