import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { t } from "../i18n";

export interface Found {
  readonly id: string;
  readonly title: string;
  readonly also?: ReactNode;
  readonly icon?: ReactNode;
}
interface Props {
  readonly label: string;
  readonly find: (query: string) => readonly Found[];
  readonly choose: (id: string, query: string) => void;
  readonly close: () => void;
  /** Called with what the arrows stand at. */
  readonly look?: (id: string) => void;
  readonly filters?: ReactNode;
  readonly place?: { readonly x: number; readonly y: number };
}

const MOST = 60;

/** A box to type in with what fits below it; arrows choose, Enter takes, Escape leaves. Never dims what is behind it. */
export function Finder({ label, find, choose, close, look, filters, place }: Props) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const before = useRef<Element | null>(null);
  const found = find(query).slice(0, MOST);
  const here = Math.min(at, found.length - 1);

  useEffect(() => {
    before.current = document.activeElement;
    input.current?.focus();
    const outside = (event: PointerEvent) => {
      const target = event.target as Element;
      // A list that was opened from in here lies beside the box in the page.
      if (!box.current?.contains(target) && !target.closest(".options")) close();
    };
    window.addEventListener("pointerdown", outside, true);
    return () => {
      window.removeEventListener("pointerdown", outside, true);
      if (before.current instanceof HTMLElement && document.activeElement === document.body) before.current.focus();
    };
  }, [close]);

  const move = (to: number): void => {
    const next = Math.max(0, Math.min(found.length - 1, to));
    setAt(next);
    document.getElementById(`${id}-${next}`)?.scrollIntoView({ block: "nearest" });
    const one = found[next];
    if (one) look?.(one.id);
  };
  const keys: Readonly<Record<string, () => void>> = {
    ArrowDown: () => move(here + 1),
    ArrowUp: () => move(here - 1),
    PageDown: () => move(here + 8),
    PageUp: () => move(here - 8),
    Escape: close,
    Enter: () => found[here] && choose(found[here].id, query),
  };
  // Kept on the screen wherever it was asked for.
  const style = place && { left: Math.max(8, Math.min(place.x, window.innerWidth - 536)), top: Math.max(8, Math.min(place.y, window.innerHeight - Math.min(460, window.innerHeight * 0.7) - 40)), position: "fixed" as const };

  return (
    <div className={`floating finder ${place ? "" : "top"}`} style={style} ref={box} role="dialog" aria-label={label}>
      <input
        ref={input}
        value={query}
        placeholder={label}
        role="combobox"
        aria-label={label}
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={found[here] ? `${id}-${here}` : undefined}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => {
          setQuery(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          const key = keys[event.key];
          if (key === undefined || event.nativeEvent.isComposing) return;
          event.preventDefault();
          event.stopPropagation();
          key();
        }}
      />
      {filters && <div className="filters">{filters}</div>}
      <div role="listbox" id={`${id}-list`} aria-label={label}>
        {found.map((one, index) => (
          <div
            key={one.id}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === here}
            onPointerMove={() => setAt(index)}
            onClick={() => choose(one.id, query)}
          >
            {one.icon}
            <span dir="auto">{one.title}</span>
            {one.also && <span className="also">{one.also}</span>}
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="empty" role="status">{t("find.none", "Nothing fits")}</p>}
    </div>
  );
}
