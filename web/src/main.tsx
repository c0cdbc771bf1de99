import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/panels.css";
import "./styles/form.css";
import { preferredLanguage, useLanguage } from "./i18n";
import { followTheme } from "./shell/preferences";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
followTheme();
await useLanguage(preferredLanguage());
// Titles of commands are read when they are registered, so the language comes first.
const { Start } = await import("./shell/Start");
createRoot(root).render(
  <StrictMode>
    <Start />
  </StrictMode>,
);
