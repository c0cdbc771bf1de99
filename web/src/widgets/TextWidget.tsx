import { useEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { say } from "../canvas/text";
import { Completions } from "./Completions";
import type { WidgetProps } from "./services";
import { changeWeight } from "./weights";

const COUNT_AFTER_MS = 300;

function useTokens(text: string, { services, spec }: WidgetProps): { count: number; limit?: number } | undefined {
  const [tokens, setTokens] = useState<{ count: number; limit?: number }>();
  const { countTokens } = services;
  const counted = spec.options["dynamicPrompts"] === true;
  useEffect(() => {
    if (countTokens === undefined || !counted) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      countTokens(text, abort.signal).then(setTokens, () => setTokens(undefined));
    }, COUNT_AFTER_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, countTokens, counted]);
  return tokens;
}

/** One line or many. Ctrl+Up and Ctrl+Down change the weight of the word at the caret. */
export function TextWidget(props: WidgetProps & { readonly multiline: boolean }) {
  const { value, edit, label, tab, disabled, multiline, spec, services } = props;
  const text = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
  const field = useRef<HTMLTextAreaElement & HTMLInputElement>(null);
  const [caret, setCaret] = useState<number>();
  const tokens = useTokens(text, props);
  const placeholder = spec.options["placeholder"];

  const put = (next: string, start: number, end: number): void => {
    // The next key may come within this frame: the text is written and the caret back in it before.
    flushSync(() => edit.set(next));
    field.current?.setSelectionRange(start, end);
  };
  const shared = {
    ref: field,
    "aria-label": label,
    dir: "auto",
    tabIndex: tab,
    disabled,
    value: text,
    spellCheck: multiline,
    placeholder: typeof placeholder === "string" ? placeholder : multiline ? label : undefined,
    onChange: (event: React.ChangeEvent<HTMLTextAreaElement & HTMLInputElement>) => {
      edit.set(event.currentTarget.value);
      setCaret(event.currentTarget.selectionStart ?? undefined);
    },
    onBlur: () => setCaret(undefined),
    onKeyDown: (event: React.KeyboardEvent<HTMLTextAreaElement & HTMLInputElement>) => {
      const { selectionStart, selectionEnd } = event.currentTarget;
      if (!(event.ctrlKey || event.metaKey) || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
      event.preventDefault();
      const changed = changeWeight(text, selectionStart ?? 0, selectionEnd ?? 0, event.key === "ArrowUp" ? 1 : -1);
      if (changed !== undefined) put(changed.text, changed.start, changed.end);
    },
  };
  return (
    <span className={multiline ? "prose" : "line"}>
      {multiline ? <textarea {...shared} data-scrolls="" /> : <input type="text" autoComplete="off" {...shared} />}
      {tokens !== undefined && (
        <span className="tokens" data-over={tokens.limit !== undefined && tokens.count > tokens.limit ? "" : undefined} title={say("widget.tokens", "Tokens of the text encoder")}>
          {tokens.limit === undefined ? tokens.count : `${tokens.count} / ${tokens.limit}`}
        </span>
      )}
      {caret !== undefined && services.complete !== undefined && field.current !== null && (
        <Completions
          field={field.current} text={text} caret={caret} complete={services.complete} onClose={() => setCaret(undefined)}
          onChoose={(start, insert) => {
            put(text.slice(0, start) + insert + text.slice(caret), start + insert.length, start + insert.length);
            setCaret(undefined);
          }}
        />
      )}
    </span>
  );
}
