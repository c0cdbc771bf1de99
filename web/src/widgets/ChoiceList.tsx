import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { say } from "../canvas/text";

export interface Choice {
  readonly key: string;
  readonly label: string;
  readonly detail?: string;
  readonly picture?: string;
}

interface ChoiceListProps {
  readonly choices: readonly Choice[];
  readonly current?: string;
  readonly label: string;
  readonly onChoose: (key: string) => void;
}

const ROW = 30;
const TALL_ROW = 52;
const ROWS = 10;
const VIRTUAL_FROM = 100;

/** Words of the search in any order; what starts with the search comes first. */
export function filtered(choices: readonly Choice[], search: string): readonly Choice[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return choices;
  const found = choices.filter((choice) => {
    const text = `${choice.label} ${choice.detail ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const starts = (choice: Choice): number => (choice.label.toLowerCase().startsWith(words[0] ?? "") ? 0 : 1);
  return found.toSorted((a, b) => starts(a) - starts(b));
}

/** A list with a search field. Long lists hold only the rows in view. */
export function ChoiceList({ choices, current, label, onChoose }: ChoiceListProps) {
  const [search, setSearch] = useState("");
  const found = filtered(choices, search);
  const [active, setActive] = useState(() => Math.max(0, choices.findIndex((choice) => choice.key === current)));
  const [top, setTop] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const row = choices.some((choice) => choice.picture !== undefined) ? TALL_ROW : ROW;
  const at = Math.min(active, Math.max(0, found.length - 1));
  const virtual = found.length > VIRTUAL_FROM;
  const first = virtual ? Math.max(0, Math.floor(top / row) - 4) : 0;
  const last = virtual ? Math.min(found.length, first + ROWS + 8) : found.length;

  useEffect(() => field.current?.focus({ preventScroll: true }), []);
  useEffect(() => {
    const box = list.current;
    if (box === null) return;
    if (at * row < box.scrollTop) box.scrollTop = at * row;
    else if ((at + 1) * row > box.scrollTop + box.clientHeight) box.scrollTop = (at + 1) * row - box.clientHeight;
  }, [at, row]);

  const rows: ReactNode[] = [];
  for (let n = first; n < last; n++) {
    const choice = found[n];
    if (choice === undefined) continue;
    rows.push(
      <div
        key={choice.key} id={`${id}-${n}`} role="option" aria-selected={choice.key === current} aria-posinset={n + 1} aria-setsize={found.length}
        className="choice" data-active={n === at ? "" : undefined} style={{ top: n * row, height: row }}
        onPointerDown={(event) => event.preventDefault()} onClick={() => onChoose(choice.key)} onPointerMove={() => n !== active && setActive(n)}
      >
        {choice.picture !== undefined && <img src={choice.picture} alt="" loading="lazy" />}
        <span className="choice-label" dir="auto">{choice.label === "" ? " " : choice.label}</span>
        {choice.detail !== undefined && <span className="choice-detail">{choice.detail}</span>}
      </div>,
    );
  }
  return (
    <div className="choices">
      <input
        ref={field} type="text" role="combobox" aria-expanded="true" aria-autocomplete="list" aria-controls={`${id}-list`} aria-label={say("widget.search", "Search {label}", { label })}
        aria-activedescendant={found.length > 0 ? `${id}-${at}` : undefined} placeholder={say("widget.searchHint", "Search")} autoComplete="off" spellCheck={false}
        value={search}
        onChange={(event) => {
          setSearch(event.currentTarget.value);
          setActive(0);
        }}
        onKeyDown={(event) => {
          const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: ROWS, PageUp: -ROWS };
          const step = steps[event.key];
          if (step !== undefined) {
            event.preventDefault();
            setActive(Math.max(0, Math.min(found.length - 1, at + step)));
          } else if (event.key === "Enter") {
            event.preventDefault();
            const choice = found[at];
            if (choice !== undefined) onChoose(choice.key);
          }
        }}
      />
      <div ref={list} id={`${id}-list`} role="listbox" aria-label={label} className="choice-list" tabIndex={-1} style={{ height: Math.min(found.length, ROWS) * row }}
        onScroll={(event) => virtual && setTop(event.currentTarget.scrollTop)}>
        <div className="choice-room" style={{ height: found.length * row }}>{rows}</div>
      </div>
      {found.length === 0 && <p className="choice-none">{say("widget.noneFound", "Nothing found")}</p>}
    </div>
  );
}
