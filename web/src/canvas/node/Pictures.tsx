import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { NodeId } from "../../document/types";
import { useView } from "../context";
import type { NodeRun } from "../runView";
import { say } from "../text";
import { Film, useCalm } from "./Film";

/** The address of a preview; an object URL is given back when the next one comes. */
function usePreview(preview: Blob | string | undefined): string | undefined {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    if (preview === undefined || typeof preview === "string") {
      setUrl(preview);
      return undefined;
    }
    const made = URL.createObjectURL(preview);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [preview]);
  return url;
}

/** A picture that comes decoded, drawn at once: it may be closed when the next one is there. */
function Frame({ frame }: { readonly frame: ImageBitmap }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const element = canvas.current;
    // One that was closed has no size; the next is on its way.
    if (element === null || frame.width === 0) return;
    if (element.width !== frame.width) element.width = frame.width;
    if (element.height !== frame.height) element.height = frame.height;
    const context = element.getContext("2d");
    context?.clearRect(0, 0, frame.width, frame.height);
    context?.drawImage(frame, 0, 0);
  }, [frame]);
  return <canvas ref={canvas} role="img" aria-label={say("canvas.preview", "Preview")} />;
}

/** Live preview and results of a node: one at a time, with arrows when there are more. */
export function Pictures({ id, run, tab, top }: { readonly id: NodeId; readonly run: NodeRun; readonly tab: number; readonly top: number }) {
  const { actions } = useView();
  const [chosen, setChosen] = useState(0);
  const calm = useCalm();
  const live = run.status === "running" || run.images === undefined;
  const preview = usePreview(live && run.frame === undefined ? run.preview : undefined);
  const images = run.images ?? [];
  const index = Math.min(chosen, Math.max(0, images.length - 1));
  const image = images[index];
  if (live && run.frame !== undefined) {
    return (
      <div className="node-pictures" style={{ top }}>
        <Frame frame={run.frame} />
      </div>
    );
  }
  if (preview !== undefined) {
    return (
      <div className="node-pictures" style={{ top }}>
        <img src={preview} alt={say("canvas.preview", "Preview")} draggable={false} decoding="async" />
      </div>
    );
  }
  if (image === undefined) return null;
  const step = (by: number): void => setChosen((index + by + images.length) % images.length);
  return (
    <div className="node-pictures" style={{ top }} data-interactive="">
      <button type="button" className="node-picture" tabIndex={tab} aria-label={say("canvas.openImage", "Open {name}", { name: image.name })} onClick={() => actions().onOpenImage(id, index)}>
        {image.film === true ? (
          <Film key={image.url} image={image} />
        ) : (
          <img src={(calm ? image.still : undefined) ?? image.small ?? image.url} alt={image.name} draggable={false} decoding="async" loading="lazy" />
        )}
      </button>
      {images.length > 1 && (
        <div className="node-picture-steps">
          <button type="button" tabIndex={tab} aria-label={say("canvas.previousImage", "Previous image")} onClick={() => step(-1)}>‹</button>
          <span>{index + 1} / {images.length}</span>
          <button type="button" tabIndex={tab} aria-label={say("canvas.nextImage", "Next image")} onClick={() => step(1)}>›</button>
        </div>
      )}
    </div>
  );
}
