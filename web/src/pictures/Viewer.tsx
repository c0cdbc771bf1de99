import { useEffect, useState, type KeyboardEvent } from "react";
import { t } from "../i18n";
import { Icon } from "../shell/icons";
import { sayError } from "../shell/toasts";
import { copyText, discard, openAsWorkflow, outputFile, pictureInputs, useAsInput } from "./actions";
import type { ScreenOf } from "./PictureScreens";
import { RecipeView, useRecipe } from "./RecipeView";
import { isField, ScreenFrame } from "./ScreenFrame";
import { leaveAllScreens, leaveScreen, openScreen, plays, replaceScreen, type Shown } from "./screens";
import { placed, usePictureSize, useViewport } from "./view/useViewport";
import { stageKey, ZoomTools } from "./view/ZoomTools";

/** One picture, as large as one likes, with what made it beside it. */
export default function Viewer({ screen }: ScreenOf<"viewer">) {
  const { pictures, at } = screen;
  const picture = pictures[at] ?? pictures[0]!;
  const film = plays(picture.name);
  const { size, failed } = usePictureSize(film ? undefined : picture.url);
  const stage = useViewport(size);
  const [told, setTold] = useState(true);
  const recipe = useRecipe(picture.url);
  const head = film ? null : <ZoomTools stage={stage} />;
  const go = (to: number): void => {
    if (to >= 0 && to < pictures.length) replaceScreen({ ...screen, at: to });
  };
  useEffect(() => {
    // The neighbours are there when they are wanted.
    for (const near of [pictures[at + 1], pictures[at - 1]]) if (near && !plays(near.name)) new Image().src = near.url;
  }, [pictures, at]);
  const key = (event: KeyboardEvent): boolean => {
    if (isField(event.target) || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (!event.shiftKey && event.key === "ArrowLeft") go(at - 1);
    else if (!event.shiftKey && event.key === "ArrowRight") go(at + 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(pictures.length - 1);
    else if (event.key.toLowerCase() === "i") setTold(!told);
    else return stageKey(stage, event.key, event.shiftKey);
    return true;
  };
  return (
    <ScreenFrame
      title={picture.name}
      className="viewer"
      onKey={key}
      tools={
        <>
          <span className="quiet" role="status">{pictures.length > 1 && t("picture.of", "{at} of {count}", { at: at + 1, count: pictures.length })}</span>
          {head}
          <button className="button" aria-pressed={told} title="I" onClick={() => setTold(!told)}>{t("picture.recipe", "Recipe")}</button>
        </>
      }
    >
      <div className="pic-main" data-side={told ? "" : undefined}>
        <div
          ref={stage.host}
          className="pic-stage"
          onDoubleClick={(event) => (stage.view.scale === 1 ? stage.fit() : stage.zoomBy(1 / stage.view.scale, { x: event.nativeEvent.offsetX, y: event.nativeEvent.offsetY }))}
        >
          {film && <video key={picture.url} className="pic-film" src={picture.url} aria-label={picture.name} controls autoPlay loop muted playsInline />}
          {size && <img className="pic-placed" src={picture.url} alt={picture.name} draggable={false} style={placed(stage.view, size)} />}
          {failed && <p className="pic-note">{t("picture.failed", "This picture is not there any more, or is damaged.")}</p>}
          <button className="button icon before" disabled={at === 0} aria-label={t("picture.before", "Previous picture")} title="←" onClick={() => go(at - 1)}>
            <Icon name="left" />
          </button>
          <button className="button icon after" disabled={at >= pictures.length - 1} aria-label={t("picture.after", "Next picture")} title="→" onClick={() => go(at + 1)}>
            <Icon name="right" />
          </button>
        </div>
        {told && (
          <aside className="pic-side" aria-label={t("picture.recipe", "Recipe")}>
            <Acts picture={picture} pictures={pictures} at={at} seed={recipe?.facts.find((fact) => fact.kind === "seed")?.value} opens={recipe?.opens ?? false} />
            <RecipeView recipe={recipe} size={size} />
          </aside>
        )}
      </div>
    </ScreenFrame>
  );
}

interface ActsProps {
  readonly picture: Shown;
  readonly pictures: readonly Shown[];
  readonly at: number;
  readonly seed: string | undefined;
  readonly opens: boolean;
}

function Acts({ picture, pictures, at, seed, opens }: ActsProps) {
  const [choosing, setChoosing] = useState(false);
  const places = pictureInputs();
  const film = plays(picture.name);
  const file = outputFile(picture.url);
  const other = pictures[at + 1] ?? pictures[at - 1];
  const use = (target?: Parameters<typeof useAsInput>[1]): void => {
    leaveAllScreens();
    void useAsInput(picture, target).catch(sayError);
  };
  const remove = (): void => {
    if (file === undefined) return;
    const rest = pictures.filter((one) => one !== picture);
    const after = (): void => undefined;
    void discard([file], after).catch(sayError);
    if (rest.length === 0) leaveScreen();
    else replaceScreen({ kind: "viewer", pictures: rest, at: Math.min(at, rest.length - 1) });
  };
  return (
    <div className="pic-acts">
      <button className="button" disabled={!opens} onClick={() => void openAsWorkflow(picture)}>
        <Icon name="open" /> {t("picture.workflow", "Open its workflow")}
      </button>
      <button className="button" disabled={film} aria-expanded={places.length > 1 ? choosing : undefined} onClick={() => (places.length > 1 ? setChoosing(!choosing) : use())}>
        <Icon name="gallery" /> {t("picture.use", "Use as input")}
      </button>
      {choosing && (
        <div className="pic-choices" role="group" aria-label={t("picture.useIn", "Input of which node")}>
          {places.map((place) => (
            <button key={place.target.node} className="button tiny" onClick={() => use(place.target)}>{place.title}</button>
          ))}
        </div>
      )}
      {seed !== undefined && (
        <button className="button" onClick={() => void copyText(seed)}>
          <Icon name="copy" /> {t("picture.seed", "Copy seed")}
        </button>
      )}
      {other && !film && !plays(other.name) && (
        <button className="button" onClick={() => openScreen({ kind: "compare", pictures: [picture, other] })}>
          <Icon name="compare" /> {t("picture.compare", "Compare")}
        </button>
      )}
      <a className="button" href={picture.url} download={picture.name.split("/").at(-1)}>
        <Icon name="download" /> {t("picture.download", "Download")}
      </a>
      {file && (
        <button className="button" onClick={remove}>
          <Icon name="trash" /> {t("picture.trash", "Into the trash")}
        </button>
      )}
    </div>
  );
}
