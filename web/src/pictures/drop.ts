/** A picture dragged onto the graph: on a node that takes one it becomes its input, elsewhere it opens as what made it. */
import type { DragEvent } from "react";
import type { CameraHandle } from "../canvas/GraphView";
import type { GraphId } from "../document/types";
import { openAddress } from "../shell/opening";
import { sayError } from "../shell/toasts";
import type { Tab } from "../shell/workspace";
import { pictureInputOf, useAsInput } from "./actions";
import { recipeAt } from "./files";
import { nodeAt, shownIn } from "./dropped";
import { PICTURE_TYPE, type Shown } from "./screens";

/** True when what was dropped is a picture of the gallery. */
export function dropPicture(tab: Tab, graph: GraphId, event: DragEvent, camera: Pick<CameraHandle, "toGraph"> | null): boolean {
  const picture = shownIn(event.dataTransfer.getData(PICTURE_TYPE));
  if (picture === undefined) return false;
  event.preventDefault();
  const at = camera?.toGraph({ x: event.clientX, y: event.clientY });
  const id = (event.target as Element).closest?.<HTMLElement>("[data-node]")?.dataset["node"] ?? (at && nodeAt(tab.document.graph(graph).nodes.values(), at.x, at.y)?.id);
  const input = id === undefined ? undefined : pictureInputOf(tab, graph, id);
  const work = id !== undefined && input !== undefined ? useAsInput(picture, { tab: tab.key, graph, node: id, input: input.name }) : openOrAdd(picture, at);
  work.catch(sayError);
  return true;
}

/** A picture that does not say what made it is an input all the same. */
async function openOrAdd(picture: Shown, at: { readonly x: number; readonly y: number } | undefined): Promise<void> {
  const { opens } = await recipeAt(picture.url);
  if (opens) await openAddress(picture.url, picture.name.split("/").at(-1) ?? picture.name);
  else await useAsInput(picture, undefined, at);
}
