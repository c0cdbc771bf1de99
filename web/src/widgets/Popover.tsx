import { useEffect, useLayoutEffect, useRef, type ReactNode } from "react";
import { createPortal } from "react-dom";

interface PopoverProps {
  readonly anchor: Element | { readonly x: number; readonly y: number };
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly className?: string;
  /** Names it as a dialog; without it it belongs to the field beside it. */
  readonly label?: string;
}

const GAP = 4;
const EDGE = 8;

/** A box beside something, outside the zoomed world, closed by Esc or a press elsewhere. */
export function Popover({ anchor, onClose, children, className, label }: PopoverProps) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const at = anchor instanceof Element ? anchor.getBoundingClientRect() : new DOMRect(anchor.x, anchor.y, 0, 0);
    element.style.minWidth = `${Math.max(200, at.width)}px`;
    const { offsetWidth: width, offsetHeight: height } = element;
    const below = at.bottom + GAP + height <= innerHeight - EDGE || at.top - GAP - height < EDGE;
    element.style.left = `${Math.max(EDGE, Math.min(at.left, innerWidth - width - EDGE))}px`;
    element.style.top = `${Math.max(EDGE, below ? Math.min(at.bottom + GAP, innerHeight - height - EDGE) : at.top - GAP - height)}px`;
  }, [anchor]);
  useEffect(() => {
    const press = (event: PointerEvent): void => {
      if (event.target instanceof Node && box.current?.contains(event.target) !== true) onClose();
    };
    const wheel = (event: WheelEvent): void => {
      if (event.target instanceof Node && box.current?.contains(event.target) !== true) onClose();
    };
    window.addEventListener("pointerdown", press, true);
    window.addEventListener("wheel", wheel, { capture: true, passive: true });
    return () => {
      window.removeEventListener("pointerdown", press, true);
      window.removeEventListener("wheel", wheel, true);
    };
  }, [onClose]);
  return createPortal(
    <div
      ref={box}
      className={`popover ${className ?? ""}`}
      role={label === undefined ? undefined : "dialog"}
      aria-label={label}
      data-interactive=""
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") {
          event.preventDefault();
          onClose();
        }
      }}
    >
      {children}
    </div>,
    document.body,
  );
}
