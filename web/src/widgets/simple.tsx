import { useRef } from "react";
import { say } from "../canvas/text";
import { NumberWidget, numberOf } from "./NumberWidget";
import { ruleOf, settle } from "./number";
import type { WidgetProps } from "./services";

/** A range with its number beside it. */
export function SliderWidget(props: WidgetProps) {
  const { spec, value, edit, label, tab, disabled } = props;
  const rule = ruleOf(spec);
  const current = numberOf(value, rule);
  const pulling = useRef(false);
  const end = (): void => {
    if (pulling.current) edit.commit();
    pulling.current = false;
  };
  return (
    <span className="slider">
      <input
        type="range"
        aria-label={label}
        tabIndex={tab}
        disabled={disabled}
        min={Number.isFinite(rule.min) ? rule.min : 0}
        max={Number.isFinite(rule.max) ? rule.max : 100}
        step={rule.step}
        value={current}
        onPointerDown={() => {
          pulling.current = true;
          edit.begin();
        }}
        onPointerUp={end}
        onPointerCancel={end}
        onChange={(event) => edit.set(settle(Number(event.currentTarget.value), rule))}
      />
      <NumberWidget {...props} label={say("widget.value", "{label}, value", { label })} />
    </span>
  );
}

export function ToggleWidget({ spec, value, edit, label, tab, disabled }: WidgetProps) {
  const on = value === true || value === "true";
  const words = [spec.options["label_off"], spec.options["label_on"]];
  const word = words[on ? 1 : 0];
  return (
    <button type="button" className="toggle" role="switch" aria-checked={on} aria-label={label} tabIndex={tab} disabled={disabled} onClick={() => edit.set(!on)}>
      <span className="toggle-word">{typeof word === "string" ? word : on ? say("widget.on", "On") : say("widget.off", "Off")}</span>
      <span className="toggle-track" aria-hidden="true"><span /></span>
    </button>
  );
}

function hexOf(value: unknown): string {
  if (typeof value === "number") return `#${(value & 0xffffff).toString(16).padStart(6, "0")}`;
  const text = String(value ?? "");
  if (/^#[\da-f]{6}$/i.test(text)) return text;
  const short = /^#([\da-f])([\da-f])([\da-f])$/i.exec(text);
  return short === null ? "#000000" : `#${short.slice(1).map((digit) => digit + digit).join("")}`;
}

/** A colour; numbers stay numbers, as EmptyImage wants them. */
export function ColourWidget({ spec, value, edit, label, tab, disabled }: WidgetProps) {
  const hex = hexOf(value);
  const put = (next: string): void => edit.set(spec.type === "INT" ? parseInt(next.slice(1), 16) : next);
  return (
    <span className="colour">
      <input type="text" aria-label={say("widget.hex", "{label}, as hex", { label })} tabIndex={tab} disabled={disabled} key={hex} defaultValue={hex}
        onBlur={(event) => /^#[\da-f]{6}$/i.test(event.currentTarget.value) && event.currentTarget.value !== hex && put(event.currentTarget.value)} />
      <input type="color" aria-label={label} tabIndex={tab} disabled={disabled} value={hex} onChange={(event) => put(event.currentTarget.value)} />
    </span>
  );
}

/** A value nobody here knows how to edit, shown as it is. */
export function RawWidget({ value, label }: WidgetProps) {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return <output className="raw" dir="auto" aria-label={label} title={text.slice(0, 2000)}>{text.slice(0, 300)}</output>;
}

export function FileWidget({ spec, value, edit, label, tab, disabled, services }: WidgetProps) {
  const name = typeof value === "string" ? value : "";
  const { pickFile } = services;
  return (
    <span className="file">
      <input type="text" aria-label={label} tabIndex={tab} disabled={disabled} key={name} defaultValue={name}
        onBlur={(event) => event.currentTarget.value !== name && edit.set(event.currentTarget.value)} />
      {pickFile !== undefined && (
        <button type="button" tabIndex={tab} disabled={disabled} aria-label={say("widget.pick", "Choose a file for {label}", { label })}
          onClick={() => void pickFile(spec, name).then((chosen) => (chosen === undefined ? undefined : edit.set(chosen)))}>…</button>
      )}
    </span>
  );
}
