import { useEffect, useRef, type KeyboardEvent, type ReactNode } from "react";
import { t } from "../i18n";
import { Icon } from "../shell/icons";
import { Toasts } from "../shell/Toasts";
import { leaveScreen, screens } from "./screens";
import "./pictures.css";

/** Where the focus was before the first screen opened. */
let origin: Element | null = null;

interface Props {
  readonly title: string;
  readonly className?: string;
  readonly tools?: ReactNode;
  readonly children: ReactNode;
  /** Keys of the screen; true when the key was one of them. */
  readonly onKey?: (event: KeyboardEvent) => boolean;
  /** Called instead of leaving at once: what is not kept yet is asked about first. */
  readonly onLeave?: () => void;
  /** A small window instead of the whole one. */
  readonly small?: boolean;
}

/**
 * One screen over the editor. It is the browser's own dialog: what lies behind is out of reach for keyboard and screen
 * reader, Escape always leads out, and the focus goes back to where it was.
 */
export function ScreenFrame({ title, className = "", tools, children, onKey, onLeave = leaveScreen, small = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    origin ??= document.activeElement;
    const element = dialog.current;
    element?.showModal();
    return () => {
      element?.close();
      if (screens.get().length > 0) return;
      if (origin instanceof HTMLElement && origin.isConnected) origin.focus({ preventScroll: true });
      origin = null;
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`pic ${small ? "pic-small" : ""} ${className}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        if (event.target === dialog.current) onLeave();
      }}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (onKey?.(event)) event.preventDefault();
      }}
      onPaste={(event) => event.stopPropagation()}
    >
      <header className="pic-head">
        <h2>{title}</h2>
        {tools}
        <button className="button icon" aria-label={t("close", "Close")} title={t("close", "Close")} onClick={onLeave}>
          <Icon name="close" />
        </button>
      </header>
      {children}
      <Toasts />
    </dialog>
  );
}

/** Whether a key goes to a field and is no command of the screen. */
export function isField(target: EventTarget): boolean {
  if (target instanceof HTMLInputElement) return !["range", "checkbox", "radio", "button"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
