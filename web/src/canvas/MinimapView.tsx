import { useRef, type RefObject } from "react";
import { MAP_HEIGHT, MAP_WIDTH } from "./minimap";
import type { Stage } from "./stage";
import { say } from "./text";

interface MinimapViewProps {
  readonly canvas: RefObject<HTMLCanvasElement | null>;
  readonly frame: RefObject<HTMLDivElement | null>;
  readonly stage: Stage | undefined;
}

/** The small map in the corner; a press or a drag on it goes there. */
export function MinimapView({ canvas, frame, stage }: MinimapViewProps) {
  const down = useRef(false);
  const go = (event: React.PointerEvent): void => {
    const box = canvas.current?.getBoundingClientRect();
    if (stage === undefined || box === undefined) return;
    const at = stage.mapPoint(event.clientX - box.left, event.clientY - box.top);
    if (at !== undefined) stage.camera.centreOn(at.x, at.y, stage.camera.zoom, false);
  };
  return (
    <div
      className="minimap" data-interactive="" role="img" aria-label={say("canvas.minimap", "Map of the graph")}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        down.current = true;
        go(event);
      }}
      onPointerMove={(event) => down.current && go(event)}
      onPointerUp={() => (down.current = false)}
      onPointerCancel={() => (down.current = false)}
    >
      <canvas ref={canvas} style={{ width: MAP_WIDTH, height: MAP_HEIGHT }} />
      <div ref={frame} className="minimap-frame" />
    </div>
  );
}
