import { useEffect, useId, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { createPortal } from "react-dom";
import { t } from "../../i18n";
import { Icon } from "../icons";

export interface Option {
  readonly value: string;
  readonly label: string;
  readonly detail?: string;
  /** Address of a small picture. */
  readonly picture?: string | undefined;
}
interface Props {
  readonly id?: string;
  readonly label: string;
  readonly value: string;
  /** What stands there while nothing is chosen. */
  readonly placeholder?: string;
  readonly options: readonly Option[];
  readonly set: (value: string) => void;
  /** The value is in none of the options. */
  readonly missing?: boolean;
  readonly small?: boolean;
}

/** From this many on there is a field to search with. */
const SEARCH_FROM = 9;
const MOST = 400;
const GAP = 4;

/** A choice from a list: a button that says what is chosen, and a list below it that can be searched. */
export function Select({ id, label, value, placeholder = "", options, set, missing = false, small = false }: Props) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const chosen = options.find((one) => one.value === value);
  const words = chosen?.label ?? (value || placeholder);
  const close = (focus: boolean): void => {
    setOpen(false);
    if (focus) button.current?.focus({ preventScroll: true });
  };
  return (
    <>
      <button ref={button} id={id} type="button" className={`select ${small ? "small" : ""}`} aria-haspopup="listbox" aria-expanded={open} aria-label={`${label}: ${words}`} title={words} data-missing={missing || undefined}
        onClick={() => setOpen(!open)} onKeyDown={(event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
          event.preventDefault();
          setOpen(true);
        }}>
        {chosen?.picture && <Thumb picture={chosen.picture} />}
        <span className="grow">{words}{missing && <em> {t("choice.missing", "not here")}</em>}</span>
        <Icon name="down" />
      </button>
      {open && button.current && createPortal(<List anchor={button.current} label={label} value={value} options={options} close={close} choose={(next) => { close(true); if (next !== value) set(next); }} />, button.current.closest("dialog") ?? document.body)}
    </>
  );
}

function Thumb({ picture }: { readonly picture: string }) {
  const [there, setThere] = useState(true);
  return there ? <img src={picture} alt="" loading="lazy" decoding="async" onError={() => setThere(false)} /> : null;
}

interface ListProps {
  readonly anchor: HTMLElement;
  readonly label: string;
  readonly value: string;
  readonly options: readonly Option[];
  readonly close: (focus: boolean) => void;
  readonly choose: (value: string) => void;
}

function List({ anchor, label, value, options, close, choose }: ListProps) {
  const [query, setQuery] = useState("");
  const searches = options.length >= SEARCH_FROM;
  const found = options.filter((one) => `${one.label} ${one.detail ?? ""}`.toLowerCase().includes(query.trim().toLowerCase())).slice(0, MOST);
  const [at, setAt] = useState(() => Math.max(0, options.findIndex((one) => one.value === value)));
  const here = Math.min(at, found.length - 1);
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const { left, top, bottom, width } = anchor.getBoundingClientRect();
    element.style.minWidth = `${Math.max(width, 160)}px`;
    element.style.left = `${Math.max(GAP, Math.min(left, innerWidth - element.offsetWidth - GAP))}px`;
    const below = innerHeight - bottom - GAP * 2;
    const above = below < Math.min(element.offsetHeight, 220) && top > below;
    element.style.maxHeight = `${Math.min(380, above ? top - GAP * 2 : below)}px`;
    if (above) element.style.bottom = `${innerHeight - top + GAP}px`;
    else element.style.top = `${bottom + GAP}px`;
    element.querySelector<HTMLElement>(searches ? "input" : "[role=listbox]")?.focus({ preventScroll: true });
  }, [anchor, searches]);
  useEffect(() => {
    document.getElementById(`${id}-${here}`)?.scrollIntoView({ block: "nearest" });
  }, [here, id]);
  useEffect(() => {
    const outside = (event: PointerEvent): void => {
      if (!box.current?.contains(event.target as Node) && !anchor.contains(event.target as Node)) close(false);
    };
    window.addEventListener("pointerdown", outside, true);
    return () => window.removeEventListener("pointerdown", outside, true);
  });
  const keys = (event: KeyboardEvent): void => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: searches ? undefined : -MOST, End: searches ? undefined : MOST }[event.key];
    event.stopPropagation();
    if (steps !== undefined) setAt(Math.max(0, Math.min(found.length - 1, here + steps)));
    else if (event.key === "Enter" || (event.key === " " && !searches)) found[here] && choose(found[here].value);
    else if (event.key === "Escape" || event.key === "Tab") close(true);
    else if (!searches && event.key.length === 1) {
      const next = found.findIndex((one, index) => index > here && one.label.toLowerCase().startsWith(event.key.toLowerCase()));
      setAt(next >= 0 ? next : Math.max(0, found.findIndex((one) => one.label.toLowerCase().startsWith(event.key.toLowerCase()))));
    } else return;
    event.preventDefault();
  };
  const active = found.length > 0 ? `${id}-${here}` : undefined;
  return (
    <div ref={box} className="floating options" onKeyDown={keys}>
      {searches && (
        <input role="combobox" aria-label={t("select.search", "Search {label}", { label })} aria-expanded="true" aria-controls={id} aria-activedescendant={active} placeholder={t("search", "Search")} autoComplete="off" spellCheck={false} value={query}
          onChange={(event) => { setQuery(event.target.value); setAt(0); }} />
      )}
      <div id={id} role="listbox" aria-label={label} tabIndex={searches ? -1 : 0} aria-activedescendant={searches ? undefined : active}>
        {found.map((one, index) => (
          <div key={one.value} id={`${id}-${index}`} role="option" aria-selected={one.value === value} data-at={index === here || undefined} onPointerMove={() => index !== at && setAt(index)} onClick={() => choose(one.value)}>
            {one.picture && <Thumb picture={one.picture} />}
            <span className="grow">{one.label}</span>
            {one.detail && <span className="quiet small">{one.detail}</span>}
            {one.value === value && <Icon name="check" />}
          </div>
        ))}
        {found.length === 0 && <p className="empty">{t("find.none", "Nothing fits")}</p>}
      </div>
    </div>
  );
}
