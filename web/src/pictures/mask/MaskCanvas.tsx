import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type RefObject } from "react";
import { t } from "../../i18n";
import { placed, type Stage, useViewport } from "../view/useViewport";
import type { Painting } from "./painting";
import { wholeOf, type Point, type Rect } from "./pixels";
import type { MaskSource } from "./source";
import { isShape, pressureOf, type Look, type Settings } from "./tools";

interface Props {
  readonly source: MaskSource;
  readonly painting: Painting;
  readonly settings: Settings;
  /** Space is held: the hand for as long. */
  readonly moving: boolean;
  readonly onStage: (stage: Stage) => void;
}

const RED = [229, 72, 77] as const;

/** The picture with its mask over it, and whatever the pointer does to that. */
export function MaskCanvas({ source, painting, settings, moving, onStage }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const cursor = useRef<HTMLDivElement>(null);
  const [shape, setShape] = useState<readonly Point[]>([]);
  const points = useRef<readonly Point[]>([]);
  const hand = settings.tool === "hand" || moving;
  const brush = { ...settings, erase: settings.erase };
  const draw = (next: readonly Point[]): void => {
    points.current = next;
    setShape(next);
  };
  const follow = (at: Point, scale: number, view: { x: number; y: number }): void => {
    const element = cursor.current;
    if (element === null) return;
    const side = settings.size * scale;
    element.style.width = element.style.height = `${side}px`;
    element.style.transform = `translate(${view.x + at.x * scale - side / 2}px, ${view.y + at.y * scale - side / 2}px)`;
  };
  const stage = useViewport(source, {
    down: (event) => {
      if (hand) return false;
      const at = stage.locate(event);
      keyboard.current = at;
      if (settings.tool === "flood") painting.flood(at, source.pixels, settings.tolerance, { ...brush, hardness: 1 });
      else if (isShape(settings.tool)) draw([at, at]);
      else painting.begin(at, brush, pressureOf(event, settings.pressure));
      return true;
    },
    move: (event) => {
      const at = stage.locate(event);
      pointer.current = { clientX: event.clientX, clientY: event.clientY };
      follow(at, stage.view.scale, stage.view);
      if (event.buttons === 0) return;
      if (points.current.length > 0) draw(settings.tool === "lasso" ? [...points.current, at] : [points.current[0]!, square(points.current[0]!, at, event.shiftKey)]);
      else for (const one of allOf(event)) painting.move(stage.locate(one), pressureOf(one, settings.pressure));
    },
    up: () => {
      if (points.current.length > 1 && isShape(settings.tool)) painting.fill(settings.tool, points.current, { ...brush, hardness: 1 });
      draw([]);
      painting.end();
    },
    abandon: () => {
      draw([]);
      painting.abandon();
    },
  });
  const keyboard = useRef<Point>({ x: source.width / 2, y: source.height / 2 });
  const pointer = useRef<{ readonly clientX: number; readonly clientY: number } | undefined>(undefined);
  // The ring stays under the hand when the picture moves below it, and shows a new size at once.
  useLayoutEffect(() => follow(pointer.current ? stage.locate(pointer.current) : keyboard.current, stage.view.scale, stage.view), [stage.view, settings.size]);
  useEffect(() => onStage(stage), [stage.view]);
  usePainter(canvas, painting, source, settings.look);

  // Without a pointer: arrows move the brush, Enter or Space puts it down.
  const key = (event: KeyboardEvent): void => {
    const far = Math.max(1, settings.size / (event.altKey ? 20 : 2));
    const by: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
    const move = event.shiftKey ? undefined : by[event.key];
    const at = keyboard.current;
    if (move !== undefined) {
      pointer.current = undefined;
      keyboard.current = { x: Math.min(source.width, Math.max(0, at.x + move[0])), y: Math.min(source.height, Math.max(0, at.y + move[1])) };
      follow(keyboard.current, stage.view.scale, stage.view);
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      if (settings.tool === "flood") painting.flood(at, source.pixels, settings.tolerance, { ...brush, hardness: 1 });
      else {
        painting.begin(at, brush);
        painting.end();
      }
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const place = placed(stage.view, source);
  const round = settings.tool === "brush" || settings.tool === "eraser";
  return (
    <div
      ref={stage.host}
      className="pic-stage paint"
      data-look={settings.look}
      data-tool={hand ? "hand" : settings.tool}
      tabIndex={0}
      role="application"
      aria-label={t("mask.canvas", "Mask: arrow keys move the brush, Enter puts it down")}
      onKeyDown={key}
    >
      <div className="pic-placed checker" style={{ ...place, imageRendering: "auto" }} />
      <img className="pic-placed picture" src={source.backdrop} alt="" draggable={false} style={place} />
      <canvas ref={canvas} className="pic-placed" width={source.width} height={source.height} style={place} />
      {shape.length > 1 && <Outline shape={shape} tool={settings.tool} place={place} scale={stage.view.scale} size={source} />}
      <div ref={cursor} className="paint-cursor" data-off={hand || !round ? "" : undefined} aria-hidden="true" />
    </div>
  );
}

/** Where the pointer was since the last frame; some browsers do not tell. */
function allOf(event: PointerEvent): readonly PointerEvent[] {
  const all = event.getCoalescedEvents?.() ?? [];
  return all.length > 0 ? all : [event];
}

/** With Shift both sides are the same. */
function square(from: Point, to: Point, equal: boolean): Point {
  if (!equal) return to;
  const side = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y));
  return { x: from.x + Math.sign(to.x - from.x) * side, y: from.y + Math.sign(to.y - from.y) * side };
}

function Outline({ shape, tool, place, scale, size }: { readonly shape: readonly Point[]; readonly tool: string; readonly place: ReturnType<typeof placed>; readonly scale: number; readonly size: MaskSource }) {
  const [a, b] = [shape[0]!, shape.at(-1)!];
  const [x, y, width, height] = [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.abs(a.x - b.x), Math.abs(a.y - b.y)];
  return (
    <svg className="pic-placed paint-outline" viewBox={`0 0 ${size.width} ${size.height}`} style={place} aria-hidden="true" strokeWidth={1.5 / scale}>
      {tool === "rectangle" && <rect x={x} y={y} width={width} height={height} />}
      {tool === "ellipse" && <ellipse cx={x + width / 2} cy={y + height / 2} rx={width / 2} ry={height / 2} />}
      {tool === "lasso" && <polygon points={shape.map((point) => `${point.x},${point.y}`).join(" ")} />}
    </svg>
  );
}

/** Keeps the canvas like the mask: only what was touched is drawn again. */
function usePainter(canvas: RefObject<HTMLCanvasElement | null>, painting: Painting, source: MaskSource, look: Look): void {
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return undefined;
    const paint = (rect: Rect): void => {
      if (rect.width === 0 || rect.height === 0) return;
      context.putImageData(colours(painting, source, rect, look), rect.x, rect.y);
    };
    painting.onPaint = paint;
    paint(wholeOf(painting.mask));
    return () => {
      painting.onPaint = () => undefined;
    };
  }, [canvas, painting, source, look]);
}

function colours(painting: Painting, source: MaskSource, rect: Rect, look: Look): ImageData {
  const image = new ImageData(rect.width, rect.height);
  const { data } = image;
  for (let row = 0, to = 0; row < rect.height; row++) {
    for (let column = 0; column < rect.width; column++, to += 4) {
      const value = painting.mask.data[(rect.y + row) * source.width + rect.x + column] ?? 0;
      if (look === "red") {
        data[to] = RED[0];
        data[to + 1] = RED[1];
        data[to + 2] = RED[2];
        data[to + 3] = value * 0.66;
      } else {
        const grey = look === "alone" ? value : 128;
        data[to] = data[to + 1] = data[to + 2] = grey;
        data[to + 3] = look === "alone" ? 255 : value;
      }
    }
  }
  return image;
}
