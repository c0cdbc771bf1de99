import { useEffect, useId, useMemo, useState, type KeyboardEvent } from "react";
import { t } from "../i18n";
import { Icon } from "../shell/icons";
import { openAsWorkflow } from "./actions";
import { differences, type Difference } from "./differ";
import { fetchPicture, type Recipe } from "./files";
import type { ScreenOf } from "./PictureScreens";
import { useRecipe } from "./RecipeView";
import { isField, ScreenFrame } from "./ScreenFrame";
import { replaceScreen, type Shown } from "./screens";
import { placed, usePictureSize, useViewport } from "./view/useViewport";
import type { Size } from "./view/viewport";
import { stageKey, ZoomTools } from "./view/ZoomTools";

type Mode = "slider" | "overlay" | "difference";

/** Two pictures in one place: under a slider, one through the other, or where they differ; and why they do. */
export default function Compare({ screen }: ScreenOf<"compare">) {
  const [a, b] = screen.pictures;
  const [mode, setMode] = useState<Mode>("slider");
  const [part, setPart] = useState(50);
  const [gain, setGain] = useState(4);
  const sizeA = usePictureSize(a.url).size;
  const sizeB = usePictureSize(b.url).size;
  const size = useMemo(() => (sizeA && sizeB ? { width: Math.max(sizeA.width, sizeB.width), height: Math.max(sizeA.height, sizeB.height) } : undefined), [sizeA, sizeB]);
  const stage = useViewport(size, {
    down: (event) => mode === "slider" && (event.target as Element).closest(".pic-divider") !== null,
    move: (event) => {
      if (mode === "slider" && size && event.buttons === 1 && stage.host.current?.dataset["grab"] === "no") setPart(bounded((stage.locate(event).x / size.width) * 100));
    },
  });
  const recipes = [useRecipe(a.url), useRecipe(b.url)] as const;
  const key = (event: KeyboardEvent): boolean => {
    if (isField(event.target) || event.ctrlKey || event.metaKey || event.altKey) return false;
    const range = event.target instanceof HTMLInputElement && event.target.type === "range";
    if (event.key.toLowerCase() === "s") replaceScreen({ kind: "compare", pictures: [b, a] });
    else if (!event.shiftKey && !range && event.key === "ArrowLeft") setPart(bounded(part - 2));
    else if (!event.shiftKey && !range && event.key === "ArrowRight") setPart(bounded(part + 2));
    else return stageKey(stage, event.key, event.shiftKey);
    return true;
  };
  const cut = size ? stage.view.x + (size.width * stage.view.scale * part) / 100 : 0;
  return (
    <ScreenFrame title={t("compare", "Compare two pictures")} className="compare" onKey={key} tools={<ZoomTools stage={stage} />}>
      <div className="pic-main" data-side="">
        <div className="pic-work">
          <div ref={stage.host} className="pic-stage" data-mode={mode}>
            {size && sizeA && sizeB && (
              <>
                <img className="pic-placed" src={a.url} alt={t("compare.a", "A: {name}", { name: a.name })} draggable={false} style={placed(stage.view, sizeA)} />
                <div className="pic-over" style={mode === "slider" ? { clipPath: `inset(0 0 0 ${Math.max(0, cut)}px)` } : mode === "overlay" ? { opacity: part / 100 } : { mixBlendMode: "difference" }}>
                  <img className="pic-placed" src={b.url} alt={t("compare.b", "B: {name}", { name: b.name })} draggable={false} style={placed(stage.view, sizeB)} />
                </div>
                {mode === "difference" && <div className="pic-gain" style={{ backdropFilter: `brightness(${gain})` }} />}
                {mode === "slider" && <div className="pic-divider" aria-hidden="true" style={{ left: cut }} />}
                {mode !== "difference" && <span className="pic-badge left" aria-hidden="true">A</span>}
                {mode !== "difference" && <span className="pic-badge right" aria-hidden="true">B</span>}
              </>
            )}
          </div>
          <Controls mode={mode} setMode={setMode} part={part} setPart={setPart} gain={gain} setGain={setGain} />
        </div>
        <aside className="pic-side" aria-label={t("compare.why", "Which inputs differ")}>
          <Sides a={a} b={b} recipes={recipes} />
          <Numbers a={a} b={b} sizeA={sizeA} sizeB={sizeB} />
          <Why recipes={recipes} />
        </aside>
      </div>
    </ScreenFrame>
  );
}

const bounded = (part: number): number => Math.min(100, Math.max(0, part));

interface ControlProps {
  readonly mode: Mode;
  setMode(mode: Mode): void;
  readonly part: number;
  setPart(part: number): void;
  readonly gain: number;
  setGain(gain: number): void;
}

function Controls({ mode, setMode, part, setPart, gain, setGain }: ControlProps) {
  const id = useId();
  const modes: readonly (readonly [Mode, string])[] = [
    ["slider", t("compare.slider", "Slider")],
    ["overlay", t("compare.overlay", "Overlay")],
    ["difference", t("compare.difference", "Difference")],
  ];
  const label = mode === "slider" ? t("compare.place", "Place of the slider") : mode === "overlay" ? t("compare.opacity", "How much of B") : t("compare.gain", "Amplified");
  return (
    <div className="pic-controls">
      <div className="segmented" role="group" aria-label={t("compare.how", "How to compare")}>
        {modes.map(([one, name]) => (
          <button key={one} aria-pressed={mode === one} onClick={() => setMode(one)}>{name}</button>
        ))}
      </div>
      <label htmlFor={id}>{label}</label>
      {mode === "difference" ? (
        <input id={id} type="range" min={1} max={32} step={1} value={gain} onChange={(event) => setGain(Number(event.target.value))} />
      ) : (
        <input id={id} type="range" min={0} max={100} step={0.5} value={part} onChange={(event) => setPart(Number(event.target.value))} />
      )}
      <output className="pic-percent">{mode === "difference" ? `${gain} ×` : `${Math.round(part)} %`}</output>
    </div>
  );
}

type Recipes = readonly [Recipe | undefined, Recipe | undefined];

function Sides({ a, b, recipes }: { readonly a: Shown; readonly b: Shown; readonly recipes: Recipes }) {
  return (
    <ul className="pic-pair">
      {[a, b].map((one, at) => (
        <li key={at}>
          <b aria-hidden="true">{at === 0 ? "A" : "B"}</b>
          <span className="grow">{one.name}</span>
          <button
            className="button tiny"
            disabled={recipes[at]?.opens !== true}
            onClick={() => void openAsWorkflow(one)}
          >
            <Icon name="open" /> {at === 0 ? t("compare.restoreA", "Restore A") : t("compare.restoreB", "Restore B")}
          </button>
        </li>
      ))}
      <li>
        <button className="button tiny" title="S" onClick={() => replaceScreen({ kind: "compare", pictures: [b, a] })}>{t("compare.swap", "Swap A and B")}</button>
      </li>
    </ul>
  );
}

interface Counted {
  readonly share: number;
  readonly most: number;
}

/** How far the pixels are apart, in numbers. */
function Numbers({ a, b, sizeA, sizeB }: { readonly a: Shown; readonly b: Shown; readonly sizeA: Size | undefined; readonly sizeB: Size | undefined }) {
  const [found, setFound] = useState<Counted>();
  const same = sizeA !== undefined && sizeB !== undefined && sizeA.width === sizeB.width && sizeA.height === sizeB.height;
  useEffect(() => {
    setFound(undefined);
    if (!same) return undefined;
    let gone = false;
    void Promise.all([pixelsOf(a.url), pixelsOf(b.url)]).then(([one, other]) => !gone && setFound(count(one, other)), () => undefined);
    return () => {
      gone = true;
    };
  }, [a.url, b.url, same]);
  if (sizeA && sizeB && !same) return <p className="quiet">{t("compare.sizes", "A has {a} pixels, B {b}.", { a: `${sizeA.width} × ${sizeA.height}`, b: `${sizeB.width} × ${sizeB.height}` })}</p>;
  if (found === undefined) return null;
  if (found.share === 0) return <p className="quiet">{t("compare.equal", "Every pixel is the same.")}</p>;
  return <p className="quiet">{t("compare.numbers", "{share} % of the pixels differ, by {most} of 255 at most.", { share: (found.share * 100).toFixed(found.share < 0.01 ? 2 : 0), most: found.most })}</p>;
}

async function pixelsOf(url: string): Promise<Uint32Array> {
  const picture = await fetchPicture(url);
  const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(picture, 0, 0);
  return new Uint32Array(context.getImageData(0, 0, picture.width, picture.height).data.buffer);
}

function count(a: Uint32Array, b: Uint32Array): Counted {
  let differ = 0;
  let most = 0;
  for (let at = 0; at < a.length; at++) {
    const [x, y] = [a[at] ?? 0, b[at] ?? 0];
    if (x === y) continue;
    differ += 1;
    for (const shift of [0, 8, 16]) most = Math.max(most, Math.abs(((x >>> shift) & 255) - ((y >>> shift) & 255)));
  }
  return { share: differ / Math.max(1, a.length), most };
}

function Why({ recipes: [a, b] }: { readonly recipes: Recipes }) {
  const rows = useMemo<readonly Difference[] | undefined>(() => (a?.prompt && b?.prompt ? differences(a.prompt, b.prompt) : undefined), [a, b]);
  if (a === undefined || b === undefined) return <p className="quiet">{t("recipe.reading", "Reading what made it…")}</p>;
  if (rows === undefined) return <p className="quiet">{t("compare.unknown", "At least one of them does not say what made it.")}</p>;
  if (rows.length === 0) return <p className="quiet">{t("compare.same", "All inputs are the same.")}</p>;
  return (
    <table className="pic-table">
      <caption>{t("compare.why", "Which inputs differ")}</caption>
      <thead>
        <tr>
          <th scope="col">{t("compare.input", "Input")}</th>
          <th scope="col">A</th>
          <th scope="col">B</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={`${row.node}.${row.input}.${row.a === undefined}`}>
            <th scope="row">
              {row.title}
              {row.input && <span className="quiet"> · {row.input}</span>}
            </th>
            <td>{row.a ?? <span className="quiet">{t("compare.none", "not there")}</span>}</td>
            <td>{row.b ?? <span className="quiet">{t("compare.none", "not there")}</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
