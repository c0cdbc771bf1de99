import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from "react";
import { centred, fitted, kept, panned, pinched, toPicture, zoomed, type Point, type Size, type Viewport } from "./viewport";

export interface Stage {
  readonly host: RefObject<HTMLDivElement | null>;
  readonly view: Viewport;
  fit(): void;
  /** CSS pixels for each pixel of the picture; 1 shows pixels as they are on a plain screen. */
  zoomTo(scale: number): void;
  zoomBy(factor: number, at?: Point): void;
  pan(dx: number, dy: number): void;
  /** A pointer's place in pixels of the picture. */
  locate(event: { readonly clientX: number; readonly clientY: number }): Point;
}
interface Gestures {
  /** The first pointer that comes down, unless it is there to pan; true to have it. */
  readonly down?: (event: PointerEvent) => boolean;
  readonly move?: (event: PointerEvent) => void;
  readonly up?: (event: PointerEvent) => void;
  /** A second finger has come: what the first one began is no stroke. */
  readonly abandon?: () => void;
}

const WHEEL = 0.0018;

/** Zoom and pan of a picture on a stage: by wheel, by dragging, by two fingers. `gestures` may take the first pointer. */
export function useViewport(picture: Size | undefined, gestures: Gestures = {}): Stage {
  const host = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<Viewport>({ x: 0, y: 0, scale: 1 });
  const latest = useRef({ view, picture, gestures });
  latest.current = { view, picture, gestures };
  // A stage that changes its size shows the whole picture again only where it did before.
  const whole = useRef(true);
  const stage = (): Size => ({ width: host.current?.clientWidth ?? 1, height: host.current?.clientHeight ?? 1 });
  const set = useCallback((make: (view: Viewport) => Viewport) => {
    const { picture: size } = latest.current;
    if (size === undefined) return;
    whole.current = false;
    latest.current.view = kept(make(latest.current.view), size, stage());
    setView(latest.current.view);
  }, []);
  const fit = useCallback(() => {
    set(() => fitted(latest.current.picture!, stage()));
    whole.current = true;
  }, [set]);
  const middle = (): Point => ({ x: stage().width / 2, y: stage().height / 2 });

  useLayoutEffect(fit, [picture?.width, picture?.height, fit]);
  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const local = (event: { clientX: number; clientY: number }): Point => {
      const box = element.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const pointers = new Map<number, Point>();
    let taken: number | undefined;
    const wheel = (event: WheelEvent): void => {
      event.preventDefault();
      set((before) => zoomed(before, local(event), Math.exp(-event.deltaY * (event.ctrlKey ? 4 : 1) * WHEEL)));
    };
    const down = (event: PointerEvent): void => {
      if (event.target instanceof Element && event.target.closest("button, input, a")) return;
      element.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, local(event));
      if (pointers.size > 1) {
        if (taken !== undefined) latest.current.gestures.abandon?.();
        taken = undefined;
      } else if (event.button === 0 && latest.current.gestures.down?.(event)) taken = event.pointerId;
      element.dataset["grab"] = taken === undefined ? "" : "no";
    };
    const move = (event: PointerEvent): void => {
      const before = pointers.get(event.pointerId);
      if (before === undefined || taken === event.pointerId) {
        latest.current.gestures.move?.(event);
        if (before === undefined) return;
      }
      const now = local(event);
      pointers.set(event.pointerId, now);
      if (taken !== undefined) return;
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other === undefined) set((old) => panned(old, now.x - before.x, now.y - before.y));
      else set((old) => pinched(old, [before, other], [now, other]));
    };
    const up = (event: PointerEvent): void => {
      if (taken === event.pointerId) latest.current.gestures.up?.(event);
      if (taken === event.pointerId) taken = undefined;
      pointers.delete(event.pointerId);
      delete element.dataset["grab"];
    };
    element.addEventListener("wheel", wheel, { passive: false });
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up);
    element.addEventListener("pointercancel", up);
    const watch = new ResizeObserver(() => (whole.current ? fit() : set((before) => before)));
    watch.observe(element);
    return () => {
      element.removeEventListener("wheel", wheel);
      element.removeEventListener("pointerdown", down);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", up);
      element.removeEventListener("pointercancel", up);
      watch.disconnect();
    };
  }, [fit, set]);

  return {
    host,
    view,
    fit,
    zoomTo: (scale) => set(() => centred(latest.current.picture!, stage(), scale)),
    zoomBy: (factor, at) => set((before) => zoomed(before, at ?? middle(), factor)),
    pan: (dx, dy) => set((before) => panned(before, dx, dy)),
    locate: (event) => {
      const box = host.current?.getBoundingClientRect();
      return toPicture(latest.current.view, { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) });
    },
  };
}

/** The style that puts a picture where the viewport says; large pixels stay square. */
export const placed = (view: Viewport, size: Size) => ({
  width: size.width,
  height: size.height,
  transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})`,
  imageRendering: view.scale >= 2 ? ("pixelated" as const) : ("auto" as const),
});

/** A picture's own size, once it is known. */
export function usePictureSize(url: string | undefined): { readonly size: Size | undefined; readonly failed: boolean } {
  const [known, setKnown] = useState<{ readonly url: string; readonly size?: Size }>();
  useEffect(() => {
    if (url === undefined) return undefined;
    let gone = false;
    const image = new Image();
    image.src = url;
    image.decode().then(
      () => !gone && setKnown({ url, size: { width: image.naturalWidth, height: image.naturalHeight } }),
      () => !gone && setKnown({ url }),
    );
    return () => {
      gone = true;
    };
  }, [url]);
  const current = url !== undefined && known?.url === url ? known : undefined;
  return { size: current?.size, failed: current !== undefined && current.size === undefined };
}
