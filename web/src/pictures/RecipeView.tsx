import { useEffect, useState } from "react";
import { t } from "../i18n";
import { Icon } from "../shell/icons";
import { copyText } from "./actions";
import type { Fact, FactKind } from "./facts";
import { recipeAt, type Recipe } from "./files";

export function factName(fact: Fact): string {
  const names: Readonly<Record<FactKind, string>> = {
    text: t("fact.text", "Prompt"),
    negative: t("fact.negative", "Negative prompt"),
    model: t("fact.model", "Model"),
    lora: t("fact.lora", "LoRA"),
    control: t("fact.control", "ControlNet"),
    vae: t("fact.vae", "VAE"),
    seed: t("fact.seed", "Seed"),
    steps: t("fact.steps", "Steps"),
    cfg: t("fact.cfg", "CFG"),
    sampler: t("fact.sampler", "Sampler"),
    scheduler: t("fact.scheduler", "Schedule"),
    denoise: t("fact.denoise", "Denoise"),
    size: t("fact.size", "Latent size"),
    input: t("fact.input", "Input picture"),
    other: "",
  };
  return fact.name ?? names[fact.kind];
}

export function useRecipe(url: string | undefined): Recipe | undefined {
  const [found, setFound] = useState<{ readonly url: string; readonly recipe: Recipe }>();
  useEffect(() => {
    if (url === undefined) return undefined;
    let gone = false;
    void recipeAt(url).then((recipe) => !gone && setFound({ url, recipe }));
    return () => {
      gone = true;
    };
  }, [url]);
  return found?.url === url ? found?.recipe : undefined;
}

const isLong = (fact: Fact): boolean => fact.kind === "text" || fact.kind === "negative";

/** What made a picture: texts first, then the rest as pairs; seeds and prompts can be copied. */
export function RecipeView({ recipe, size }: { readonly recipe: Recipe | undefined; readonly size: { readonly width: number; readonly height: number } | undefined }) {
  if (recipe === undefined) return <p className="quiet">{t("recipe.reading", "Reading what made it…")}</p>;
  return (
    <>
      <dl className="facts">
        {recipe.facts.map((fact) => (
          <div key={fact.kind + fact.value + (fact.name ?? "")} data-long={isLong(fact) ? "" : undefined}>
            <dt>{factName(fact)}</dt>
            <dd>
              <span>{fact.value}</span>
              {(isLong(fact) || fact.kind === "seed") && (
                <button className="button bare tiny icon" aria-label={t("fact.copy", "Copy: {name}", { name: factName(fact) })} title={t("fact.copy", "Copy: {name}", { name: factName(fact) })} onClick={() => void copyText(fact.value)}>
                  <Icon name="copy" />
                </button>
              )}
            </dd>
          </div>
        ))}
        {size && (
          <div>
            <dt>{t("fact.pixels", "Pixels")}</dt>
            <dd>{size.width} × {size.height}</dd>
          </div>
        )}
      </dl>
      {recipe.facts.length === 0 && <p className="quiet">{t("recipe.none", "This picture does not say what made it.")}</p>}
    </>
  );
}
