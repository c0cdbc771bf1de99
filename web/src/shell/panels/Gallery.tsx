import { useEffect, useMemo, useState } from "react";
import { outputs } from "../../client/files";
import { queue } from "../../client/queue";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { Icon } from "../icons";
import { showPictures } from "../Lightbox";
import { PanelWait } from "../Rail";
import { sayError } from "../toasts";

const AT_ONCE = 90;

/** Everything in the output folder, the newest first. */
export default function Gallery() {
  const [names, setNames] = useState<readonly string[]>();
  const [text, setText] = useState("");
  const [count, setCount] = useState(AT_ONCE);
  const { done } = useStore(queue);
  const newest = done[0]?.id;
  useEffect(() => {
    outputs().then(setNames, sayError);
  }, [newest]);
  const query = text.trim().toLowerCase();
  const shown = useMemo(() => {
    const fitting = (names ?? []).filter((name) => name.toLowerCase().includes(query));
    return fitting.map((path) => {
      const at = path.lastIndexOf("/");
      const query = new URLSearchParams({ filename: path.slice(at + 1), subfolder: at < 0 ? "" : path.slice(0, at), type: "output" });
      return { url: `/view?${query}`, name: path };
    });
  }, [names, query]);
  return (
    <>
      <div className="tools">
        <input className="field" type="search" aria-label={t("gallery.search", "Search by name")} placeholder={t("gallery.search", "Search by name")} value={text} onChange={(event) => setText(event.target.value)} />
      </div>
      <div className="body">
        {names === undefined && <PanelWait />}
        {names?.length === 0 && (
          <div className="empty">
            <Icon name="gallery" />
            <p>{t("gallery.empty", "Pictures that you save appear here.")}</p>
          </div>
        )}
        <div className="pictures">
          {shown.slice(0, count).map((one, at) => (
            <button key={one.url} aria-label={one.name} title={one.name} onClick={() => showPictures(shown, at)}>
              <img src={`${one.url}&preview=webp;80`} alt="" loading="lazy" decoding="async" />
            </button>
          ))}
        </div>
        {shown.length > count && (
          <button className="button" onClick={() => setCount(count + AT_ONCE)}>
            {t("gallery.more", "Show more")}
          </button>
        )}
      </div>
    </>
  );
}
