/** What a press on the graph belongs to: the canvas, or something in it that has ways of its own. */

/** True when a press belongs to a widget and not to the canvas. */
export function interactive(event: Event): boolean {
  return event.target instanceof Element && event.target.closest("[data-interactive]") !== null;
}

/** Keeps a press from the widget that it is on: it says where a link goes. */
export function quieten(event: Event, host: HTMLElement): void {
  event.preventDefault();
  event.stopPropagation();
  const stop = (click: Event): void => click.stopPropagation();
  host.addEventListener("click", stop, { capture: true, once: true });
  window.addEventListener("pointerup", () => setTimeout(() => host.removeEventListener("click", stop, { capture: true })), { once: true });
}

/** True for what has a menu of its own. */
export function fromField(event: Event): boolean {
  if (!(event.target instanceof Element) || event.target.closest("input, textarea, [data-own-menu]") === null) return false;
  // A number that is not being typed is a part of its node like any other.
  return event.target.closest(".number-field:not([data-editing])") === null;
}

export function scrolls(start: Element, deltaY: number): boolean {
  const box = start.closest<HTMLElement>("[data-scrolls]");
  if (box === null || box.scrollHeight <= box.clientHeight) return false;
  return deltaY > 0 ? box.scrollTop + box.clientHeight < box.scrollHeight - 1 : box.scrollTop > 0;
}
