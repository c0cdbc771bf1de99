import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { ResultImage } from "../runView";
import { say } from "../text";

const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const onCalm = (listener: () => void): (() => void) => {
  CALM.addEventListener("change", listener);
  return () => CALM.removeEventListener("change", listener);
};

/** Whether the user wants nothing to move by itself. */
export const useCalm = (): boolean => useSyncExternalStore(onCalm, () => CALM.matches);

/** A film in its node: it plays while it is on the screen, and stands at its beginning for who wants nothing to move. */
export function Film({ image }: { readonly image: ResultImage }) {
  const video = useRef<HTMLVideoElement>(null);
  const calm = useCalm();
  const [plays, setPlays] = useState(false);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    const element = video.current;
    if (element === null || calm) return element?.pause();
    const seen = new IntersectionObserver((entries) => {
      if (entries.at(-1)?.isIntersecting === true) void element.play().catch(() => undefined);
      else element.pause();
    });
    seen.observe(element);
    return () => seen.disconnect();
  }, [calm]);
  if (failed) return <span className="node-nofilm">{say("canvas.noFilm", "{name} cannot be played here", { name: image.name })}</span>;
  return (
    <>
      <video
        ref={video} src={`${image.url}#t=0.01`} aria-label={image.name} muted loop playsInline preload={calm ? "metadata" : "auto"}
        onPlay={() => setPlays(true)} onPause={() => setPlays(false)} onError={() => setFailed(true)}
      />
      {!plays && <span className="node-film" aria-hidden="true" />}
    </>
  );
}
