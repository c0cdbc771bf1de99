/** The history list: what one step holds, and when a change belongs to the step before it. */
import { several } from "./commands";
import type { Command, HistoryStep } from "./types";

/** Typing goes on in the same step when the next letter comes within this time. */
export const TYPING_PAUSE = 1000;

export interface Piece {
  readonly forward: Command;
  readonly inverse: Command;
}

/** One piece for two that follow each other on the same thing, or nothing when both are needed to go back. */
export function merged(earlier: Piece, later: Piece): Piece | undefined {
  const one = earlier.forward;
  const two = later.forward;
  const same =
    (one.do === "setValue" &&
      two.do === "setValue" &&
      one.graph === two.graph &&
      one.id === two.id &&
      one.input === two.input) ||
    (one.do === "moveNodes" && two.do === "moveNodes" && one.graph === two.graph && sameIds(one.to, two.to)) ||
    (one.do === "putGroups" && two.do === "putGroups" && one.graph === two.graph && sameIds(one.groups, two.groups)) ||
    (one.do === "placeBorder" && two.do === "placeBorder" && one.graph === two.graph && one.border === two.border) ||
    (one.do === "updateNode" &&
      two.do === "updateNode" &&
      one.graph === two.graph &&
      one.id === two.id &&
      // Slots may have cut links: those inverses cannot be thrown away.
      !("inputs" in one.set || "outputs" in one.set || "inputs" in two.set || "outputs" in two.set) &&
      Object.keys(one.set).join() === Object.keys(two.set).join()) ||
    (one.do === "updateLink" &&
      two.do === "updateLink" &&
      one.graph === two.graph &&
      one.id === two.id &&
      Object.keys(one.set).join() === Object.keys(two.set).join());
  return same ? { forward: two, inverse: earlier.inverse } : undefined;
}

/** Adds a piece to those of an open transaction; a drag of a thousand moves stays one piece. */
export function append(pieces: Piece[], piece: Piece): void {
  // What is dragged together is moved by turns: nodes, groups and borders stand in nobody's way.
  for (let at = pieces.length - 1; at >= 0; at--) {
    const joined = merged(pieces[at]!, piece);
    if (joined !== undefined) {
      pieces[at] = joined;
      return;
    }
    const [one, two] = [pieces[at]!.forward.do, piece.forward.do];
    if (!PLACES.has(one) || !PLACES.has(two) || (one === two && one !== "placeBorder")) break;
  }
  pieces.push(piece);
}

const PLACES: ReadonlySet<Command["do"]> = new Set(["moveNodes", "putGroups", "placeBorder"]);

export function stepOf(label: string, pieces: readonly Piece[], at: number): HistoryStep {
  return {
    label,
    at,
    forward: several(pieces.map((piece) => piece.forward)),
    inverse: several(pieces.map((piece) => piece.inverse).reverse()),
  };
}

/** The step with one more letter or spin in it, or nothing when that is a step of its own. */
export function continued(
  step: HistoryStep | undefined,
  piece: Piece,
  label: string,
  now: number,
): HistoryStep | undefined {
  if (step === undefined || step.label !== label || now - step.at > TYPING_PAUSE) return undefined;
  const typed = piece.forward.do === "setValue" && typeof piece.forward.value !== "boolean";
  const joined = typed ? merged(step, piece) : undefined;
  return joined && { ...joined, label, at: now };
}

function sameIds(one: readonly { readonly id: string }[], two: readonly { readonly id: string }[]): boolean {
  return one.length === two.length && one.every(({ id }, place) => id === two[place]!.id);
}
