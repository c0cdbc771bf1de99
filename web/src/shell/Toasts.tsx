import { useStore } from "../client/store";
import { t } from "../i18n";
import { Icon } from "./icons";
import { dismiss, toasts } from "./toasts";

export function Toasts() {
  const shown = useStore(toasts);
  return (
    <div className="toasts" role="region" aria-label={t("toasts", "Messages")} aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className={`toast ${toast.kind}`} role={toast.kind === "problem" ? "alert" : "status"}>
          <div className="text">
            <p>{toast.text}</p>
            {toast.details && <p className="quiet small">{toast.details}</p>}
          </div>
          {toast.action && (
            <button
              className="button tiny"
              onClick={() => {
                toast.action?.run();
                dismiss(toast.id);
              }}
            >
              {toast.action.label}
            </button>
          )}
          <button className="button bare tiny icon" aria-label={t("dismiss", "Dismiss")} onClick={() => dismiss(toast.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
