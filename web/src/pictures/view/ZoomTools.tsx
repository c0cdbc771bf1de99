import { t } from "../../i18n";
import { Icon } from "../../shell/icons";
import type { Stage } from "./useViewport";

/** Zoom in words and buttons; the percentage counts pixels of the screen for each pixel of the picture. */
export function ZoomTools({ stage }: { readonly stage: Stage }) {
  return (
    <div className="pic-zoom" role="group" aria-label={t("zoom", "Zoom")}>
      <button className="button icon" aria-label={t("view.out", "Zoom out")} title={`${t("view.out", "Zoom out")} (-)`} onClick={() => stage.zoomBy(0.8)}>
        <Icon name="minus" />
      </button>
      <output className="pic-percent" aria-live="off">{Math.round(stage.view.scale * 100)} %</output>
      <button className="button icon" aria-label={t("view.in", "Zoom in")} title={`${t("view.in", "Zoom in")} (+)`} onClick={() => stage.zoomBy(1.25)}>
        <Icon name="plus" />
      </button>
      <button className="button" title="0" onClick={stage.fit}>{t("zoom.fit", "Fit")}</button>
      <button className="button" title="1" onClick={() => stage.zoomTo(1)}>{t("zoom.pixels", "1:1")}</button>
    </div>
  );
}

/** Keys that every stage knows; true when the key was one. */
export function stageKey(stage: Stage, key: string, shift: boolean): boolean {
  const far = 60;
  if (key === "+" || key === "=") stage.zoomBy(1.25);
  else if (key === "-") stage.zoomBy(0.8);
  else if (key === "0") stage.fit();
  else if (key === "1") stage.zoomTo(1);
  else if (shift && key === "ArrowLeft") stage.pan(far, 0);
  else if (shift && key === "ArrowRight") stage.pan(-far, 0);
  else if (shift && key === "ArrowUp") stage.pan(0, far);
  else if (shift && key === "ArrowDown") stage.pan(0, -far);
  else return false;
  return true;
}
