import { t } from "../i18n";

/** Gives a text for the user with `{name}` places filled in. */
export function say(key: string, english: string, values: Readonly<Record<string, string | number>> = {}): string {
  return t(key, english).replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
