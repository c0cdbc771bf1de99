import { useEffect, useId, useLayoutEffect, useRef, useState, type DragEvent, type KeyboardEvent, type MouseEvent } from "react";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { Icon } from "../../shell/icons";
import { shownOf, thumbnailOf, type GalleryPicture } from "../files";
import { PICTURE_TYPE, plays, showPictures } from "../screens";
import { Pages, rowsInView } from "./pages";
import { moved, ranged, step, toggled, type Chosen } from "./selection";

const GAP = 8;
const EDGE = 16;

interface Props {
  readonly pages: Pages;
  /** Smallest side of a tile. */
  readonly tile: number;
  readonly chosen: Chosen;
  choose(chosen: Chosen): void;
  remove(): void;
  leave?: (() => void) | undefined;
}

export const keyOf = (picture: GalleryPicture): string => `${picture.subfolder}/${picture.filename}`;

/** Thousands of pictures as tiles, of which only those in view are there. One stop for the keyboard; arrows go about in it. */
export function Grid({ pages, tile, chosen, choose, remove, leave }: Props) {
  const { total = 0 } = useStore(pages.listing);
  const box = useRef<HTMLDivElement>(null);
  const [area, setArea] = useState({ top: 0, width: 0, height: 0 });
  const id = useId();
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const look = (): void => setArea({ top: element.scrollTop, width: element.clientWidth, height: element.clientHeight });
    look();
    element.addEventListener("scroll", look, { passive: true });
    const watch = new ResizeObserver(look);
    watch.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      watch.disconnect();
    };
  }, []);
  const room = Math.max(1, area.width - 2 * EDGE);
  const columns = Math.max(1, Math.floor((room + GAP) / (tile + GAP)));
  const side = (room + GAP) / columns - GAP;
  const row = side + GAP;
  const rows = Math.ceil(total / columns);
  const [first, last] = rowsInView(area.top, area.height, row, rows);
  const from = first * columns;
  const to = Math.min(total, last * columns);
  useEffect(() => pages.want(from, to), [pages, from, to]);
  const show = (at: number): void => {
    // The viewer goes on through what is around.
    const near = pages.range(at - 300, at + 300);
    const picture = pages.at(at);
    if (picture) showPictures(near.map(shownOf), near.indexOf(picture));
  };
  const reveal = (at: number): void => {
    const element = box.current;
    if (element === null) return;
    const top = Math.floor(at / columns) * row;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + row + GAP > element.scrollTop + element.clientHeight) element.scrollTop = top + row + GAP - element.clientHeight;
  };
  const extend = (at: number): Chosen => ranged(chosen, pages.range(Math.min(chosen.anchor, at), Math.max(chosen.anchor, at)).map(keyOf), at);
  const key = (event: KeyboardEvent): void => {
    const next = step(event.key, chosen.focus, columns, Math.max(1, Math.floor(area.height / row) - 1), total);
    const here = pages.at(chosen.focus);
    if (next !== undefined && total > 0) {
      choose(event.shiftKey ? extend(next) : moved(chosen, next));
      reveal(next);
    } else if (event.key === " " && here) choose(toggled(chosen, keyOf(here), chosen.focus));
    else if (event.key === "Enter" && here) show(chosen.focus);
    else if (event.key === "Delete") remove();
    else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) choose({ ...chosen, keys: new Set(pages.range(0, total - 1).map(keyOf)) });
    else if (event.key === "Escape" && chosen.keys.size > 0) choose({ ...chosen, keys: new Set() });
    else if (event.key === "Escape" && leave) leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const click = (event: MouseEvent, at: number, picture: GalleryPicture): void => {
    const tick = (event.target as Element).closest(".tick") !== null;
    if (event.shiftKey) choose(extend(at));
    else if (event.ctrlKey || event.metaKey || tick || chosen.keys.size > 0) choose(toggled(chosen, keyOf(picture), at));
    else {
      choose(moved(chosen, at));
      show(at);
    }
  };
  const tiles = [];
  for (let at = from; at < to; at++) {
    const picture = pages.at(at);
    const place = { left: EDGE + (at % columns) * (side + GAP), top: Math.floor(at / columns) * row, width: side, height: side };
    if (picture === undefined) tiles.push(<div key={at} className="tile skeleton" style={place} role="presentation" />);
    else tiles.push(<Tile key={keyOf(picture)} id={`${id}-${at}`} picture={picture} at={at} total={total} place={place} chosen={chosen.keys.has(keyOf(picture))} focused={chosen.focus === at} click={click} />);
  }
  return (
    <div
      ref={box}
      className="gallery-grid"
      role="listbox"
      aria-multiselectable="true"
      aria-label={t("gallery.pictures", "Pictures, {count}", { count: total })}
      aria-activedescendant={chosen.focus >= from && chosen.focus < to && pages.at(chosen.focus) ? `${id}-${chosen.focus}` : undefined}
      tabIndex={0}
      onKeyDown={key}
    >
      <div role="presentation" style={{ height: rows * row, position: "relative" }}>{tiles}</div>
    </div>
  );
}

/** A thumbnail; where the picture may be an animated one, it is shown itself while the pointer is on it. */
function Still({ url, small, moves }: { readonly url: string; readonly small: string; readonly moves: boolean }) {
  const [on, setOn] = useState(false);
  const watch = moves ? { onPointerEnter: () => setOn(true), onPointerLeave: () => setOn(false) } : {};
  return <img src={on ? url : small} alt="" decoding="async" draggable={false} {...watch} />;
}

interface TileProps {
  readonly id: string;
  readonly picture: GalleryPicture;
  readonly at: number;
  readonly total: number;
  readonly place: { readonly left: number; readonly top: number; readonly width: number; readonly height: number };
  readonly chosen: boolean;
  readonly focused: boolean;
  click(event: MouseEvent, at: number, picture: GalleryPicture): void;
}

function Tile({ id, picture, at, total, place, chosen, focused, click }: TileProps) {
  const shown = shownOf(picture);
  const size = place.width * Math.min(2, window.devicePixelRatio) > 200 ? 384 : 192;
  const drag = (event: DragEvent): void => {
    event.dataTransfer.setData(PICTURE_TYPE, JSON.stringify(shown));
    event.dataTransfer.setData("text/uri-list", new URL(shown.url, location.href).href);
    event.dataTransfer.effectAllowed = "copy";
  };
  return (
    <div
      id={id}
      className="tile"
      role="option"
      aria-selected={chosen}
      aria-setsize={total}
      aria-posinset={at + 1}
      aria-label={[shown.name, picture.text].filter(Boolean).join(": ")}
      title={[picture.text, shown.name, picture.model].filter(Boolean).join("\n")}
      data-focused={focused ? "" : undefined}
      draggable
      onDragStart={drag}
      onClick={(event) => click(event, at, picture)}
      style={place}
    >
      {plays(picture.filename) ? (
        <>
          <video src={`${shown.url}#t=0.01`} muted loop playsInline preload="metadata" onPointerEnter={(event) => void event.currentTarget.play().catch(() => undefined)} onPointerLeave={(event) => event.currentTarget.pause()} />
          <span className="film" aria-hidden="true"><Icon name="play" /></span>
        </>
      ) : (
        <Still url={shown.url} small={thumbnailOf(shown.url, size, picture.modified)} moves={/\.(gif|webp)$/i.test(picture.filename)} />
      )}
      <span className="tick" aria-hidden="true">{chosen && <Icon name="check" />}</span>
    </div>
  );
}
