import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/shell.css";
import "./styles/panels.css";
import "./styles/form.css";
import { preferredLanguage, useLanguage } from "./i18n";
import { registerAll } from "./shell/actions";
import { followTheme } from "./shell/preferences";
import { begin, Start } from "./shell/Start";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
followTheme();
await useLanguage(preferredLanguage());
begin();
registerAll(); // reads the titles of commands, so the language comes first
createRoot(root).render(
  <StrictMode>
    <Start />
  </StrictMode>,
);
