import { useEffect, useLayoutEffect, useRef } from "react";
import { Store, useStore } from "../client/store";
import { shown } from "./commands";
import { Icon } from "./icons";

export interface MenuItem {
  readonly label: string;
  readonly keys?: string | undefined;
  readonly disabled?: boolean;
  readonly separated?: boolean;
  /** A colour, shown as a spot; spots that follow each other stand in one row. An empty text is no colour. */
  readonly spot?: string;
  /** One of a few that exclude each other, or something that is on or off. */
  readonly checked?: boolean;
  run(): void;
}
interface OpenMenu {
  readonly x: number;
  readonly y: number;
  readonly label: string;
  readonly items: readonly MenuItem[];
}
const open = new Store<OpenMenu | undefined>(undefined);

export function showMenu(x: number, y: number, label: string, items: readonly MenuItem[]): void {
  open.set(items.length > 0 ? { x, y, label, items } : undefined);
}

function rowsOf(items: readonly MenuItem[]): readonly (readonly MenuItem[])[] {
  const rows: MenuItem[][] = [];
  for (const item of items) {
    const last = rows.at(-1);
    if (item.spot !== undefined && last?.[0]?.spot !== undefined) last.push(item);
    else rows.push([item]);
  }
  return rows;
}

/** The one menu that may be open. */
export function MenuHost() {
  const menu = useStore(open);
  return menu ? <Menu key={`${menu.x},${menu.y}`} {...menu} /> : null;
}

function Menu({ x, y, label, items }: OpenMenu) {
  const box = useRef<HTMLDivElement>(null);
  const before = useRef<Element | null>(document.activeElement);
  const close = (): void => open.set(undefined);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    element.style.left = `${Math.max(4, Math.min(x, window.innerWidth - element.offsetWidth - 4))}px`;
    element.style.top = `${Math.max(4, Math.min(y, window.innerHeight - element.offsetHeight - 4))}px`;
    element.querySelector<HTMLButtonElement>("button:not(:disabled)")?.focus();
  }, [x, y]);
  useEffect(() => {
    const outside = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) close();
    };
    window.addEventListener("pointerdown", outside, true);
    window.addEventListener("blur", close);
    return () => {
      window.removeEventListener("pointerdown", outside, true);
      window.removeEventListener("blur", close);
      if (before.current instanceof HTMLElement) before.current.focus();
    };
  }, []);
  const step = (by: number): void => {
    const buttons = [...(box.current?.querySelectorAll<HTMLButtonElement>("button:not(:disabled)") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    buttons[(at + by + buttons.length) % buttons.length]?.focus();
  };
  return (
    <div
      ref={box}
      className="floating menu"
      role="menu"
      aria-label={label}
      onKeyDown={(event) => {
        if (event.key === "ArrowDown" || event.key === "ArrowRight") step(1);
        else if (event.key === "ArrowUp" || event.key === "ArrowLeft") step(-1);
        else if (event.key === "Escape" || event.key === "Tab") close();
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      {rowsOf(items).map((row) => (
        <div key={row[0]?.label} role="none">
          {row[0]?.separated && <hr />}
          <div role="none" className={row[0]?.spot === undefined ? undefined : "spots"}>
            {row.map((item) => (
              <button
                key={item.label}
                role={item.checked === undefined ? "menuitem" : "menuitemradio"}
                aria-checked={item.checked}
                disabled={item.disabled}
                aria-label={item.spot === undefined ? undefined : item.label}
                title={item.spot === undefined ? undefined : item.label}
                onClick={() => {
                  close();
                  item.run();
                }}
              >
                {item.spot === undefined ? <span>{item.label}</span> : <i style={item.spot === "" ? undefined : { background: item.spot }} />}
                {item.checked && <Icon name="check" />}
                {item.keys && <kbd>{shown(item.keys)}</kbd>}
              </button>
            ))}
          </div>
        </div>
      ))}
    </div>
  );
}
