// @vitest-environment node
import { expect, test, vi } from "vitest";

vi.stubGlobal("navigator", { platform: "Linux", language: "en" });
class Element {}
class Input extends Element {
  type = "text";
}
vi.stubGlobal("HTMLElement", Element);
vi.stubGlobal("HTMLInputElement", Input);
vi.stubGlobal("HTMLTextAreaElement", class extends Element {});
vi.stubGlobal("HTMLSelectElement", class extends Element {});
const body = {};
vi.stubGlobal("document", { body });
const { bindings, handleKey, keyOf, register } = await import("../../src/shell/commands");

type Init = Partial<Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "altKey" | "shiftKey" | "metaKey">> & { target?: unknown };
function press(init: Init) {
  const event = { key: "", code: "", ctrlKey: false, altKey: false, shiftKey: false, metaKey: false, target: body, defaultPrevented: false, isComposing: false, ...init };
  return Object.assign(event, { preventDefault: () => void (event.defaultPrevented = true) }) as unknown as KeyboardEvent;
}

test("keys are written as people know them", () => {
  expect(keyOf(press({ key: "Enter", ctrlKey: true, shiftKey: true }))).toBe("Ctrl+Shift+Enter");
  expect(keyOf(press({ key: "ç", code: "KeyC", altKey: true }))).toBe("Alt+C");
  expect(keyOf(press({ key: "s", metaKey: true }))).toBe("Ctrl+S");
  expect(keyOf(press({ key: "." }))).toBe(".");
  expect(keyOf(press({ key: "Shift", shiftKey: true }))).toBeUndefined();
});

test("a key runs its command, unless a text is written or the user gave it another", async () => {
  const run = vi.fn();
  const save = vi.fn();
  register({ id: "p", title: "P", keys: ["P"], run }, { id: "s", title: "S", keys: ["Ctrl+S"], run: save });
  handleKey(press({ key: "p" }));
  await vi.waitFor(() => expect(run).toHaveBeenCalledTimes(1));
  handleKey(press({ key: "p", target: new Input() }));
  handleKey(press({ key: "s", ctrlKey: true, target: new Input() }));
  await vi.waitFor(() => expect(save).toHaveBeenCalledTimes(1));
  bindings.set({ p: ["X"] });
  handleKey(press({ key: "p" }));
  handleKey(press({ key: "x" }));
  await vi.waitFor(() => expect(run).toHaveBeenCalledTimes(2));
});

test("what cannot be done now leaves its key to others", async () => {
  const first = vi.fn();
  const second = vi.fn();
  register({ id: "no", title: "", keys: ["Q"], enabled: () => false, run: first }, { id: "yes", title: "", keys: ["Q"], run: second });
  handleKey(press({ key: "q" }));
  await vi.waitFor(() => expect(second).toHaveBeenCalled());
  expect(first).not.toHaveBeenCalled();
});
