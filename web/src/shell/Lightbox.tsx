import { useEffect, useRef, useState } from "react";
import { Store, useStore } from "../client/store";
import { t } from "../i18n";
import { Icon } from "./icons";
import { openAddress } from "./opening";
import type { RecipeLine } from "./recipe";

export interface Shown {
  readonly url: string;
  readonly name: string;
}
const open = new Store<{ readonly pictures: readonly Shown[]; readonly at: number } | undefined>(undefined);

export function showPictures(pictures: readonly Shown[], at = 0): void {
  open.set(pictures.length > 0 ? { pictures, at } : undefined);
}

/** One picture, large. Arrows go on, Escape leaves; what made it is one press away. */
export function Lightbox() {
  const shown = useStore(open);
  return shown ? <Open {...shown} /> : null;
}

/** The recipe that the picture carries. */
function Recipe({ url }: { readonly url: string }) {
  const [lines, setLines] = useState<readonly RecipeLine[]>([]);
  useEffect(() => {
    let gone = false;
    setLines([]);
    const read = async (): Promise<void> => {
      const { recipeOf } = await import("./recipe");
      const found = await recipeOf(await (await fetch(url)).blob());
      if (!gone) setLines(found);
    };
    read().catch(() => undefined); // a picture without a recipe is a picture all the same
    return () => {
      gone = true;
    };
  }, [url]);
  return (
    <dl className="recipe">
      {lines.map((line) => (
        <div key={line.name + line.value}>
          <dt>{line.name}</dt>
          <dd>{line.value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Open({ pictures, at }: { readonly pictures: readonly Shown[]; readonly at: number }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const picture = pictures[at];
  const go = (to: number): void => {
    if (to >= 0 && to < pictures.length) open.set({ pictures, at: to });
  };
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  if (picture === undefined) return null;
  return (
    <dialog
      ref={dialog}
      className="lightbox"
      aria-label={picture.name}
      onClose={() => open.set(undefined)}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") go(at - 1);
        if (event.key === "ArrowRight") go(at + 1);
        event.stopPropagation();
      }}
      onClick={(event) => event.target === dialog.current && open.set(undefined)}
    >
      <header>
        <span className="grow">{picture.name}</span>
        <button className="button" onClick={() => { open.set(undefined); void openAddress(picture.url, picture.name); }}>
          <Icon name="open" /> {t("picture.workflow", "Open its workflow")}
        </button>
        <a className="button icon" href={picture.url} download={picture.name} aria-label={t("picture.download", "Download")}>
          <Icon name="download" />
        </a>
        <button className="button icon" aria-label={t("close", "Close")} onClick={() => open.set(undefined)}>
          <Icon name="close" />
        </button>
      </header>
      <img src={picture.url} alt={picture.name} />
      {at > 0 && (
        <button className="button icon before" aria-label={t("picture.before", "Previous picture")} onClick={() => go(at - 1)}>
          <Icon name="left" />
        </button>
      )}
      {at < pictures.length - 1 && (
        <button className="button icon after" aria-label={t("picture.after", "Next picture")} onClick={() => go(at + 1)}>
          <Icon name="right" />
        </button>
      )}
      <footer className="small">
        <Recipe url={picture.url} />
        {pictures.length > 1 && <p>{t("picture.of", "{at} of {count}", { at: at + 1, count: pictures.length })}</p>}
      </footer>
    </dialog>
  );
}
