import { useId } from "react";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { Icon } from "../../shell/icons";
import type { Painting } from "./painting";
import { chosenTool, swapped, TOOLS, type Look, type Settings } from "./tools";

interface Props {
  readonly painting: Painting;
  readonly settings: Settings;
  set(settings: Settings): void;
}

export function ToolBar({ settings, set }: Props) {
  return (
    <div className="paint-tools" role="toolbar" aria-label={t("mask.tools", "Tools")} aria-orientation="vertical">
      {TOOLS.map((tool) => (
        <button key={tool.id} className="button icon" aria-pressed={settings.tool === tool.id} aria-label={tool.name()} title={`${tool.name()} (${tool.key.toUpperCase()})`} onClick={() => set(chosenTool(settings, tool.id))}>
          <Icon name={tool.icon} />
        </button>
      ))}
      <span className="paint-gap" />
      <button className="button icon" aria-pressed={settings.erase} aria-label={t("mask.swap", "Add or take away")} title={`${t("mask.swap", "Add or take away")} (X)`} onClick={() => set(swapped(settings))}>
        <Icon name="swap" />
      </button>
    </div>
  );
}

export function ToolPanel({ painting, settings, set }: Props) {
  const { tool } = settings;
  const strokes = tool === "brush" || tool === "eraser";
  const percent = (value: number): string => `${Math.round(value * 100)} %`;
  return (
    <>
      <section className="paint-section" aria-label={t("mask.settings", "Settings of the tool")}>
        <h3>{TOOLS.find((one) => one.id === tool)?.name()}</h3>
        {strokes && <Slide label={t("mask.size", "Size")} value={settings.size} min={1} max={400} shown={`${settings.size} px`} set={(size) => set({ ...settings, size })} hint="[ ]" />}
        {strokes && <Slide label={t("mask.hardness", "Hardness")} value={settings.hardness} min={0} max={1} step={0.01} shown={percent(settings.hardness)} set={(hardness) => set({ ...settings, hardness })} hint="{ }" />}
        {tool !== "hand" && <Slide label={t("mask.opacity", "Opacity")} value={settings.opacity} min={0.02} max={1} step={0.01} shown={percent(settings.opacity)} set={(opacity) => set({ ...settings, opacity })} />}
        {tool === "flood" && <Slide label={t("mask.tolerance", "How like the colour")} value={settings.tolerance} min={0} max={255} shown={String(settings.tolerance)} set={(tolerance) => set({ ...settings, tolerance })} />}
        {strokes && (
          <label className="row">
            <input type="checkbox" checked={settings.pressure} onChange={(event) => set({ ...settings, pressure: event.target.checked })} />
            {t("mask.pressure", "A pen's pressure changes the size")}
          </label>
        )}
        {tool !== "hand" && !strokes && (
          <label className="row">
            <input type="checkbox" checked={settings.erase} onChange={(event) => set({ ...settings, erase: event.target.checked })} />
            {t("mask.takeAway", "Take away from the mask")}
          </label>
        )}
      </section>
      <section className="paint-section" aria-label={t("mask.whole", "The whole layer")}>
        <h3>{t("mask.whole", "The whole layer")}</h3>
        <div className="row wrap">
          <button className="button tiny" title="Ctrl+I" onClick={() => painting.invert()}>{t("mask.invert", "Invert")}</button>
          <button className="button tiny" title="Delete" onClick={() => painting.clear()}>{t("mask.clear", "Clear")}</button>
          <button className="button tiny" onClick={() => painting.feather(settings.feather)}>{t("mask.feather", "Feather")}</button>
        </div>
        <Slide label={t("mask.featherBy", "Feather by")} value={settings.feather} min={1} max={100} shown={`${settings.feather} px`} set={(feather) => set({ ...settings, feather })} />
      </section>
      <Layers painting={painting} />
      <section className="paint-section">
        <label className="paint-slide">
          <span>{t("mask.look", "Show the mask")}</span>
          <select className="field" value={settings.look} onChange={(event) => set({ ...settings, look: event.target.value as Look })}>
            <option value="red">{t("mask.look.red", "Red over the picture")}</option>
            <option value="hole">{t("mask.look.hole", "As a hole")}</option>
            <option value="alone">{t("mask.look.alone", "By itself, white on black")}</option>
          </select>
        </label>
      </section>
    </>
  );
}

function Layers({ painting }: { readonly painting: Painting }) {
  const { layers, active } = useStore(painting.state);
  const chosen = layers.find((one) => one.id === active);
  return (
    <section className="paint-section" aria-label={t("mask.layers", "Layers")}>
      <div className="row">
        <h3 className="grow">{t("mask.layers", "Layers")}</h3>
        <button className="button tiny icon" aria-label={t("mask.addLayer", "Add a layer")} title={t("mask.addLayer", "Add a layer")} onClick={() => painting.addLayer()}>
          <Icon name="plus" />
        </button>
        <button className="button tiny icon" disabled={layers.length < 2} aria-label={t("mask.removeLayer", "Remove the layer")} title={t("mask.removeLayer", "Remove the layer")} onClick={() => painting.removeLayer(active)}>
          <Icon name="trash" />
        </button>
      </div>
      <ul>
        {layers.toReversed().map((layer) => (
          <li key={layer.id} className="paint-layer">
            <input type="checkbox" checked={layer.shown} aria-label={t("mask.shown", "Show {name}", { name: layer.name })} onChange={(event) => painting.setLayer(layer.id, { shown: event.target.checked })} />
            <button className="entry" aria-pressed={layer.id === active} onClick={() => painting.choose(layer.id)}>{layer.name}</button>
          </li>
        ))}
      </ul>
      {chosen && <Slide label={t("mask.layerOpacity", "Strength of {name}", { name: chosen.name })} value={chosen.opacity} min={0} max={1} step={0.05} shown={`${Math.round(chosen.opacity * 100)} %`} set={(opacity) => painting.setLayer(chosen.id, { opacity })} />}
    </section>
  );
}

interface SlideProps {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step?: number;
  readonly shown: string;
  readonly hint?: string;
  set(value: number): void;
}

export function Slide({ label, value, min, max, step = 1, shown, hint, set }: SlideProps) {
  const id = useId();
  return (
    <div className="paint-slide" title={hint}>
      <label htmlFor={id}>{label}</label>
      <output className="pic-percent">{shown}</output>
      <input id={id} type="range" min={min} max={max} step={step} value={Math.min(max, value)} onChange={(event) => set(Number(event.target.value))} />
    </div>
  );
}
