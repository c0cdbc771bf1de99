export type Language = "en" | "de";
export const LANGUAGES: readonly { readonly id: Language; readonly name: string }[] = [
  { id: "en", name: "English" },
  { id: "de", name: "Deutsch" },
];

let catalogue: Readonly<Record<string, string>> = {};

/** The text of a key in the chosen language; `english` is the text in English. `{name}` is filled from `values`. */
export function t(key: string, english: string, values?: Readonly<Record<string, string | number>>): string {
  const text = catalogue[key] ?? english;
  return values === undefined ? text : text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Choose the language before anything is drawn. English is in the code, others are fetched when chosen. */
export async function useLanguage(language: Language): Promise<void> {
  document.documentElement.lang = language;
  catalogue = language === "de" ? (await import("./de")).de : {};
}

export function preferredLanguage(): Language {
  const chosen = localStorage.getItem("language");
  const wanted = chosen ?? navigator.language.slice(0, 2);
  return LANGUAGES.some((one) => one.id === wanted) ? (wanted as Language) : "en";
}
