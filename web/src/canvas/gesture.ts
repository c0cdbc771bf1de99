import type { Point } from "./camera";
import type { Actions } from "./actions";
import type { Stage } from "./stage";

/** One thing that a pressed pointer does until it is let go. */
export interface Gesture {
  move(at: Point, event: PointerEvent): void;
  /** Let go. `moved` is false when the pointer stayed within a few pixels: a click. */
  end(at: Point, event: PointerEvent, moved: boolean): void;
  cancel(): void;
  /** True when the view follows the pointer at its edges. */
  readonly edges?: boolean;
}

export interface GestureContext {
  readonly stage: Stage;
  readonly actions: Actions;
  /** Where the pointer went down, in graph units. */
  readonly start: Point;
}

const nothing = (): void => undefined;

export function pan({ stage }: GestureContext, event: PointerEvent): Gesture {
  let { clientX, clientY } = event;
  stage.parts.host.classList.add("panning");
  const stop = (): void => stage.parts.host.classList.remove("panning");
  return {
    move(_, e) {
      stage.camera.panBy(clientX - e.clientX, clientY - e.clientY);
      ({ clientX, clientY } = e);
    },
    end: stop,
    cancel: stop,
  };
}

/** A press that only counts when it is let go in place. */
export function click(act: (at: Point, event: PointerEvent) => void): Gesture {
  return { move: nothing, end: (at, event, moved) => (moved ? undefined : act(at, event)), cancel: nothing };
}
