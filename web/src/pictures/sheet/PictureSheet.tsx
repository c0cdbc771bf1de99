import { useEffect, useState } from "react";
import { t } from "../../i18n";
import { axesOf, valueAt, type Axis } from "../differ";
import { recipeAt, type Recipe } from "../files";
import type { ScreenOf } from "../PictureScreens";
import { SheetView, type Cell } from "./SheetView";

/** Pictures that were chosen, put where the inputs that differ between them say. */
export default function PictureSheet({ screen }: ScreenOf<"pictureSheet">) {
  const { pictures } = screen;
  const [recipes, setRecipes] = useState<readonly Recipe[]>();
  useEffect(() => {
    let gone = false;
    void Promise.all(pictures.map((one) => recipeAt(one.url))).then((found) => !gone && setRecipes(found));
    return () => {
      gone = true;
    };
  }, [pictures]);
  const prompts = (recipes ?? []).map((one) => one.prompt);
  const axes = chosenAxes(axesOf(prompts.filter((one) => one !== undefined)));
  const cell = (column: number, row: number): Cell => {
    const found = pictures.filter((_, at) => {
      const prompt = prompts[at];
      return prompt !== undefined && axes.every((axis, place) => valueAt(prompt, axis.node, axis.input) === axis.values[place === 0 ? column : row]);
    });
    return { pictures: found, state: found.length > 0 ? "done" : "none" };
  };
  const without = prompts.filter((one) => one === undefined).length;
  const note = recipes === undefined ? t("recipe.reading", "Reading what made it…") : without > 0 ? t("sheet.without", "{count} do not say what made them", { count: without }) : axes.length === 0 ? t("compare.same", "All inputs are the same.") : "";
  return <SheetView name={t("sheet.chosen", "{count} pictures", { count: pictures.length })} axes={axes} cell={cell} note={note} />;
}

/** The two that tell most; a seed comes last, since it only tells pictures apart, and a file's name never. */
function chosenAxes(axes: readonly Axis[]): readonly Axis[] {
  const ranked = axes.filter((one) => one.input !== "filename_prefix").sort((a, b) => Number(/seed/.test(a.input)) - Number(/seed/.test(b.input)));
  return ranked.slice(0, 2);
}
