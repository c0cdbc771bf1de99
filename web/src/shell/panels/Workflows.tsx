import { useCallback, useEffect, useState } from "react";
import { moveWorkflow, removeWorkflow, savedWorkflows, readTemplate, templates, readWorkflow, writeWorkflow, type StoredFile } from "../../client/files";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { runCommand } from "../commands";
import { Icon } from "../icons";
import { openSaved, savedAt } from "../keeping";
import { showMenu } from "../Menu";
import { PanelWait } from "../Rail";
import { openTemplate } from "../templates";
import { say, sayError } from "../toasts";
import { openBlob } from "../documents";
import { titleOf } from "../FormView";
import { needsOf, type Needs } from "../needs";
import { active, specs } from "../workspace";

export default function Workflows() {
  const [saved, setSaved] = useState<readonly StoredFile[]>();
  const [given, setGiven] = useState<readonly (readonly [string, string])[]>([]);
  const [renaming, setRenaming] = useState<string>();
  const at = useStore(savedAt);
  const load = useCallback(() => void savedWorkflows().then(setSaved), []);
  useEffect(load, [load, at]);
  useEffect(() => {
    templates().then((found) => setGiven(Object.entries(found).flatMap(([pack, names]) => names.map((name) => [pack, name] as const))), sayError);
  }, []);

  const remove = async (path: string): Promise<void> => {
    const text = await (await readWorkflow(path)).text();
    await removeWorkflow(path);
    load();
    say(t("workflows.removed", "{name} was removed", { name: path }), "note", "", {
      label: t("undo", "Undo"),
      run: () => void writeWorkflow(path, text, false).then(load, sayError),
    });
  };
  const rename = async (from: string, name: string): Promise<void> => {
    setRenaming(undefined);
    const to = `${name.trim().replace(/\.json$/, "")}.json`;
    if (to === ".json" || to === from) return;
    await moveWorkflow(from, to);
    load();
  };
  return (
    <>
      <div className="tools">
        <button className="button" onClick={() => runCommand("workflow.save")}>
          <Icon name="save" /> {t("save", "Save")}
        </button>
        <button className="button" onClick={() => runCommand("workflow.open")}>
          <Icon name="open" /> {t("open.file", "Open a file…")}
        </button>
      </div>
      <div className="body">
        <h3 className="section">{t("workflows.mine", "Mine")}</h3>
        {saved === undefined && <PanelWait />}
        {saved?.length === 0 && <p className="quiet small section">{t("workflows.none", "What you save is listed here. Everything open is kept in this browser anyway.")}</p>}
        {saved?.map((file) => (
          <div key={file.path} className="entry">
            {renaming === file.path ? (
              <input
                className="field"
                aria-label={t("rename", "Rename")}
                autoFocus
                defaultValue={file.path.replace(/\.json$/, "")}
                onBlur={() => setRenaming(undefined)}
                onKeyDown={(event) => {
                  if (event.key === "Enter") rename(file.path, event.currentTarget.value).catch(sayError);
                  if (event.key === "Escape") setRenaming(undefined);
                }}
              />
            ) : (
              <button className="open" aria-current={active.get()?.path.get() === file.path ? "true" : undefined} onClick={() => void openSaved(file.path).catch(sayError)}>
                {file.path.replace(/\.json$/, "")}
              </button>
            )}
            <button
              className="button bare tiny icon"
              aria-label={t("more", "More for {name}", { name: file.path })}
              onClick={(event) => {
                const box = event.currentTarget.getBoundingClientRect();
                showMenu(box.left, box.bottom, file.path, [
                  { label: t("open", "Open"), run: () => void openSaved(file.path).catch(sayError) },
                  { label: t("rename", "Rename"), run: () => setRenaming(file.path) },
                  { label: t("remove", "Remove"), run: () => void remove(file.path).catch(sayError), separated: true },
                ]);
              }}
            >
              <Icon name="more" />
            </button>
          </div>
        ))}
        <h3 className="section">{t("workflows.given", "Examples")}</h3>
        {given.map(([pack, name]) => (
          <Example key={`${pack}/${name}`} pack={pack} name={name} />
        ))}
      </div>
    </>
  );
}

/** A workflow that comes with the program, with what it needs and whether that is here. */
function Example({ pack, name }: { readonly pack: string; readonly name: string }) {
  const known = useStore(specs);
  const [needs, setNeeds] = useState<Needs>();
  useEffect(() => {
    let gone = false;
    const read = async (): Promise<void> => {
      if (known === undefined) return;
      const workflow = await openBlob(await readTemplate(pack, name));
      if (!gone) setNeeds(needsOf(workflow, known));
    };
    read().catch(() => undefined); // what cannot be read says so when it is opened
    return () => {
      gone = true;
    };
  }, [pack, name, known]);
  const missing = needs ? [...needs.missingTypes, ...needs.files.filter((file) => !file.here).map((file) => file.name)] : [];
  const files = needs?.files.map((file) => file.name.replace(/^.*\//, "").replace(/\.[^.]+$/, "")) ?? [];
  return (
    <div className="entry tall">
      <button className="open" onClick={() => void openTemplate(name, "graph", pack).catch(sayError)}>
        <b>{titleOf(name)}</b>
        <span className="facts">{needs === undefined ? "…" : missing.length > 0 ? t("example.missing", "Missing here: {names}", { names: missing.join(", ") }) : files.join(", ") || t("example.nothing", "Needs no model")}</span>
      </button>
      {missing.length > 0 && <span className="tagged missing">{t("example.incomplete", "incomplete")}</span>}
    </div>
  );
}
