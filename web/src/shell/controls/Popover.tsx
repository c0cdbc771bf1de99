import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from "react";

const ROOM = 8;

interface PopoverProps {
  readonly label: string;
  readonly anchor: Element;
  readonly close: () => void;
  readonly children: ReactNode;
}

/** A small sheet at a button: below it, or above where there is no room. Escape, a press elsewhere and losing focus close it. */
export function Popover({ label, anchor, close, children }: PopoverProps) {
  const sheet = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState<{ left: number; top: number }>();
  useLayoutEffect(() => {
    const place = (): void => {
      const from = anchor.getBoundingClientRect();
      const { offsetWidth: width, offsetHeight: height } = sheet.current!;
      const below = from.bottom + ROOM + height <= innerHeight;
      setAt({ left: Math.max(ROOM, Math.min(from.right - width, innerWidth - width - ROOM)), top: below ? from.bottom + ROOM : Math.max(ROOM, from.top - ROOM - height) });
    };
    place();
    const watched = new ResizeObserver(place);
    watched.observe(sheet.current!);
    return () => watched.disconnect();
  }, [anchor]);
  useEffect(() => {
    sheet.current?.focus();
    const press = (event: PointerEvent): void => {
      const on = event.target as Element;
      // The list of a choice within lies outside of it on the page.
      if (!sheet.current?.contains(on) && !anchor.contains(on) && on.closest(".options") === null) close();
    };
    const key = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
      if (anchor instanceof HTMLElement) anchor.focus();
    };
    window.addEventListener("pointerdown", press, true);
    window.addEventListener("keydown", key, true);
    return () => {
      window.removeEventListener("pointerdown", press, true);
      window.removeEventListener("keydown", key, true);
    };
  }, [anchor, close]);
  return (
    <div ref={sheet} className="floating atbutton" role="dialog" aria-label={label} tabIndex={-1} style={at ?? { visibility: "hidden" }}>
      {children}
    </div>
  );
}
