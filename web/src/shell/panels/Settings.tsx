import { useEffect, useState } from "react";
import { useStore } from "../../client/store";
import { LANGUAGES, preferredLanguage, t } from "../../i18n";
import { allCommands, bindings, keyOf, keysOf, shown, type EditorCommand } from "../commands";
import { preference, setKeys, setPreference, type ThemeChoice } from "../preferences";

export default function Settings() {
  const theme = useStore(preference("theme"));
  const autosave = useStore(preference("autosave"));
  const themes: readonly (readonly [ThemeChoice, string])[] = [
    ["system", t("theme.system", "As the system")],
    ["dark", t("theme.dark", "Dark")],
    ["light", t("theme.light", "Light")],
  ];
  return (
    <div className="body">
      <div className="setting">
        <label htmlFor="theme">{t("theme", "Theme")}</label>
        <select id="theme" className="field" value={theme} onChange={(event) => setPreference("theme", event.target.value as ThemeChoice)}>
          {themes.map(([id, name]) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <div className="setting">
        <label htmlFor="language">{t("language", "Language")}</label>
        <select
          id="language"
          className="field"
          defaultValue={preferredLanguage()}
          onChange={(event) => {
            localStorage.setItem("language", event.target.value);
            location.reload();
          }}
        >
          {LANGUAGES.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </select>
      </div>
      <label className="setting row">
        <input type="checkbox" checked={autosave} onChange={(event) => setPreference("autosave", event.target.checked)} />
        {t("autosave", "Save workflows that have a file by themselves")}
      </label>
      <h3 className="section">{t("keys", "Keys")}</h3>
      <table className="keys">
        <tbody>
          {allCommands().map((command) => (
            <KeyRow key={command.id} command={command} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function KeyRow({ command }: { readonly command: EditorCommand }) {
  const chosen = useStore(bindings);
  const [waiting, setWaiting] = useState(false);
  const key = keysOf(command)[0];
  useEffect(() => {
    if (!waiting) return undefined;
    const take = (event: KeyboardEvent): void => {
      event.preventDefault();
      event.stopImmediatePropagation();
      const pressed = keyOf(event);
      if (pressed === undefined) return;
      setWaiting(false);
      if (pressed === "Escape") return;
      if (pressed === "Backspace") return setKeys(command.id, []);
      // A key does one thing: whoever had it loses it.
      for (const other of allCommands()) if (other !== command && keysOf(other).includes(pressed)) setKeys(other.id, keysOf(other).filter((one) => one !== pressed));
      setKeys(command.id, [pressed]);
    };
    window.addEventListener("keydown", take, true);
    return () => window.removeEventListener("keydown", take, true);
  }, [waiting, command]);
  return (
    <tr>
      <td>{command.title}</td>
      <td>
        {command.id in chosen && (
          <button className="button bare tiny" onClick={() => setKeys(command.id, undefined)}>
            {t("keys.reset", "Reset")}
          </button>
        )}
        <button className="button tiny" aria-label={t("keys.change", "Key of {name}: {key}", { name: command.title, key: key ?? t("keys.none", "none") })} title={t("keys.hint", "Press to set another; Backspace takes it away")} onClick={() => setWaiting(true)}>
          {waiting ? t("keys.press", "Press a key…") : key ? shown(key) : "—"}
        </button>
      </td>
    </tr>
  );
}
