import { useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { t } from "../../i18n";
import { Icon } from "../icons";

interface Props {
  readonly id?: string;
  readonly label?: string;
  readonly value: number;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly step?: number;
  readonly whole?: boolean;
  /** Without buttons: beside a slider, or where there is little room. */
  readonly plain?: boolean;
  readonly set: (value: number) => void;
  readonly className?: string;
  readonly title?: string;
}

const HOLD_MS = 380;
const AGAIN_MS = 60;

/** A number with a button to either side; what is typed counts once it is within the range. */
export function Stepper({ id, label, value, min = -Infinity, max = Infinity, step = 1, whole = true, plain = false, set, className = "", title }: Props) {
  const [draft, setDraft] = useState<string>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const current = useRef(value);
  current.current = value;
  const within = (number: number): number => Math.max(min, Math.min(max, number));
  const take = (text: string): void => {
    setDraft(text);
    const number = whole ? Math.round(Number(text)) : Number(text);
    // What is out of range may be the beginning of what is meant: 1, 12, 128.
    if (text.trim() !== "" && Number.isFinite(number) && within(number) === number) set(number);
  };
  const leave = (): void => {
    const number = Number(draft);
    if (draft !== undefined && draft.trim() !== "" && Number.isFinite(number) && within(number) !== number) set(within(number));
    setDraft(undefined);
  };
  const by = (steps: number): void => {
    setDraft(undefined);
    // Without the dust of binary fractions.
    const next = within(Number((current.current + steps * step).toFixed(6)));
    if (next !== current.current) set(next);
  };
  const hold = (steps: number) => (event: PointerEvent): void => {
    if (event.button !== 0) return;
    event.preventDefault();
    by(steps);
    const repeat = (): void => {
      by(steps);
      timer.current = setTimeout(repeat, AGAIN_MS);
    };
    timer.current = setTimeout(repeat, HOLD_MS);
  };
  const release = (): void => clearTimeout(timer.current);
  const keys = (event: KeyboardEvent): void => {
    const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (event.key === "Enter") leave();
    if (steps === undefined) return;
    event.preventDefault();
    by(steps);
  };
  const button = (steps: number, icon: "minus" | "plus", words: string) => (
    <button type="button" tabIndex={-1} aria-label={words} disabled={within(value + steps * step) === value} onPointerDown={hold(steps)} onPointerUp={release} onPointerLeave={release} onPointerCancel={release}
      onClick={(event) => event.detail === 0 && by(steps)}>
      <Icon name={icon} />
    </button>
  );
  return (
    <span className={`stepper ${plain ? "plain" : ""} ${className}`} title={title}>
      {!plain && button(-1, "minus", t("number.less", "Less"))}
      <input id={id} aria-label={label} inputMode={whole ? "numeric" : "decimal"} role="spinbutton" aria-valuenow={value} aria-valuemin={Number.isFinite(min) ? min : undefined}
        aria-valuemax={Number.isFinite(max) ? max : undefined} autoComplete="off" value={draft ?? String(value)} onChange={(event) => take(event.target.value)} onBlur={leave} onKeyDown={keys} onFocus={(event) => event.target.select()} />
      {!plain && button(1, "plus", t("number.more", "More"))}
    </span>
  );
}
