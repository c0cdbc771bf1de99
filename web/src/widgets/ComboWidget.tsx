import { useCallback, useRef, useState } from "react";
import type { Json } from "../document/types";
import { say } from "../canvas/text";
import { ChoiceList } from "./ChoiceList";
import { Popover } from "./Popover";
import type { WidgetProps } from "./services";

function wordOf(choice: Json | undefined): string {
  return typeof choice === "string" ? choice : choice === undefined ? "" : JSON.stringify(choice);
}

/** A choice from a list, found by typing; a value that the list does not have is shown and marked, never changed. */
export function ComboWidget({ spec, value, edit, label, tab, disabled, services }: WidgetProps) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const choices = spec.choices ?? [];
  const word = wordOf(value);
  // Names of uploads may have come since the choices were read.
  const missing = value !== undefined && choices.length > 0 && !choices.includes(value) && spec.options["image_upload"] !== true;
  const close = useCallback(() => {
    setOpen(false);
    button.current?.focus({ preventScroll: true });
  }, []);
  return (
    <>
      <button
        ref={button} type="button" className="combo" tabIndex={tab} disabled={disabled} aria-haspopup="listbox" aria-expanded={open}
        aria-label={`${label}: ${word}${missing ? `, ${say("widget.missing", "not available")}` : ""}`} title={word} data-missing={missing ? "" : undefined}
        onClick={() => setOpen(!open)}
        onKeyDown={(event) => {
          if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && !open && choices.length > 0) {
            event.preventDefault();
            const at = choices.findIndex((choice) => choice === value);
            const next = choices[Math.max(0, Math.min(choices.length - 1, at + (event.key === "ArrowLeft" ? -1 : 1)))];
            if (next !== undefined && next !== value) edit.set(next);
          } else if (event.key === "ArrowDown" && !open) {
            event.preventDefault();
            setOpen(true);
          }
        }}
      >
        <span className="combo-value">{word}</span>
        <span className="combo-arrow" aria-hidden="true">▾</span>
      </button>
      {open && button.current !== null && (
        <Popover anchor={button.current} onClose={close} label={label}>
          <ChoiceList
            label={label}
            current={word}
            choices={choices.map((choice) => {
              const picture = services.thumbnail?.(spec, choice);
              return { key: wordOf(choice), label: wordOf(choice), ...(picture === undefined ? {} : { picture }) };
            })}
            onChoose={(key) => {
              const chosen = choices.find((choice) => wordOf(choice) === key);
              if (chosen !== undefined && chosen !== value) edit.set(chosen);
              close();
            }}
          />
        </Popover>
      )}
    </>
  );
}
