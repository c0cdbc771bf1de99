import { useEffect, useLayoutEffect, useRef } from "react";
import { Store, useStore } from "../client/store";
import { shown } from "./commands";

export interface MenuItem {
  readonly label: string;
  readonly keys?: string | undefined;
  readonly disabled?: boolean;
  readonly separated?: boolean;
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
        if (event.key === "ArrowDown") step(1);
        else if (event.key === "ArrowUp") step(-1);
        else if (event.key === "Escape" || event.key === "Tab") close();
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      {items.map((item) => (
        <div key={item.label} role="none">
          {item.separated && <hr />}
          <button
            role="menuitem"
            disabled={item.disabled}
            onClick={() => {
              close();
              item.run();
            }}
          >
            <span>{item.label}</span>
            {item.keys && <kbd>{shown(item.keys)}</kbd>}
          </button>
        </div>
      ))}
    </div>
  );
}
