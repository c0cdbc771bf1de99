import { useEffect, useState } from "react";
import { useStore } from "../../client/store";
import { LANGUAGES, preferredLanguage, t } from "../../i18n";
import { allCommands, bindings, keyOf, keysOf, shown, type EditorCommand } from "../commands";
import { Segments } from "../controls/Segments";
import { Switch } from "../controls/Switch";
import { Icon } from "../icons";
import { CardChoice } from "../memory/EstimateSheet";
import { preference, setPreference, setKeys, type ThemeChoice } from "../preferences";

export default function Settings() {
  const theme = useStore(preference("theme"));
  const themes: readonly (readonly [ThemeChoice, string])[] = [
    ["dark", t("theme.dark", "Dark")],
    ["light", t("theme.light", "Light")],
    ["system", t("theme.system", "Like the system")],
  ];
  const languages = LANGUAGES.map((one) => [one.id, one.name] as const);
  return (
    <div className="body">
      <div className="setting">
        <span className="label">{t("theme", "Theme")}</span>
        <Segments wide label={t("theme", "Theme")} value={theme} choices={themes} set={(value) => setPreference("theme", value)} />
      </div>
      <div className="setting">
        <span className="label">{t("language", "Language")}</span>
        <Segments
          wide
          label={t("language", "Language")}
          value={preferredLanguage()}
          choices={languages}
          set={(value) => {
            localStorage.setItem("language", value);
            location.reload();
          }}
        />
      </div>
      <div className="setting">
        <Toggle name="autosave">{t("autosave", "Save workflows that have a file by themselves")}</Toggle>
        <Toggle name="minimap">{t("minimap", "Overview map in the graph")}</Toggle>
        <Toggle name="snap">{t("snap", "Nodes snap to the grid")}</Toggle>
      </div>
      <CardChoice />
      <Keys />
    </div>
  );
}

function Toggle({ name, children }: { readonly name: "autosave" | "minimap" | "snap"; readonly children: string }) {
  const on = useStore(preference(name));
  return (
    <Switch on={on} set={(value) => setPreference(name, value)}>
      {children}
    </Switch>
  );
}

function Keys() {
  const [query, setQuery] = useState("");
  const wanted = query.trim().toLowerCase();
  const found = allCommands().filter((command) => `${command.title} ${keysOf(command).map(shown).join(" ")}`.toLowerCase().includes(wanted));
  const titles: Readonly<Record<string, string>> = {
    run: t("keys.run", "Run and queue"),
    workflow: t("keys.workflow", "Workflows"),
    edit: t("keys.edit", "Edit"),
    node: t("keys.node", "Nodes"),
    view: t("keys.view", "View"),
    panel: t("keys.panel", "Panels"),
  };
  const kindOf = (command: EditorCommand): string => command.id.split(".")[0]!.replace("queue", "run");
  const kinds = [...new Set(found.map(kindOf))];
  return (
    <>
      <h3 className="section">{t("keys", "Keys")}</h3>
      <div className="setting">
        <input className="field" type="search" aria-label={t("keys.search", "Search commands and keys")} placeholder={t("keys.search", "Search commands and keys")} value={query} onChange={(event) => setQuery(event.target.value)} />
      </div>
      {kinds.map((kind) => (
        <section key={kind} className="keys" aria-label={titles[kind] ?? kind}>
          <h3 className="section">{titles[kind] ?? kind}</h3>
          {found.filter((command) => kindOf(command) === kind).map((command) => (
            <KeyRow key={command.id} command={command} />
          ))}
        </section>
      ))}
    </>
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
    <div className="entry">
      <span className="label">{command.title}</span>
      {command.id in chosen && (
        <button className="button bare tiny icon" aria-label={t("keys.reset", "Reset")} title={t("keys.reset", "Reset")} onClick={() => setKeys(command.id, undefined)}>
          <Icon name="retry" />
        </button>
      )}
      <button className="key" data-waiting={waiting || undefined} aria-label={t("keys.change", "Key of {name}: {key}", { name: command.title, key: key ?? t("keys.none", "none") })} title={t("keys.hint", "Press to set another; Backspace takes it away")} onClick={() => setWaiting(true)}>
        {waiting ? t("keys.press", "Press a key…") : key ? shown(key) : "—"}
      </button>
    </div>
  );
}
