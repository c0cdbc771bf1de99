import { Gallery as Pictures } from "../../pictures/gallery/Gallery";

/** Everything in the output folder, beside the graph: what is dragged from here becomes a workflow or an input. */
export default function Gallery() {
  return <Pictures large={false} />;
}
