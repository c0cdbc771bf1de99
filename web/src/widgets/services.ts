import type { InputSpec, Json } from "../document/types";

export interface Completion {
  /** What is put in place of the word being typed. */
  readonly insert: string;
  readonly label: string;
  readonly detail?: string;
}

/** What widgets ask their surroundings for; whatever is missing is simply not offered. */
export interface WidgetServices {
  /** Stores a picture or file on the server and gives the name that the input takes. */
  readonly upload?: (file: File, input: InputSpec) => Promise<string>;
  /** Address of a picture that an input names. */
  readonly imageUrl?: (name: string) => string | undefined;
  /** Address of a small picture for a choice, such as the preview of a checkpoint. */
  readonly thumbnail?: (input: InputSpec, choice: Json) => string | undefined;
  /** Offers for the word before the caret: after `embedding:` and `<lora:`, or any other word. */
  readonly complete?: (word: string, signal: AbortSignal) => Promise<readonly Completion[]>;
  readonly countTokens?: (text: string, signal: AbortSignal) => Promise<{ readonly count: number; readonly limit?: number } | undefined>;
  /** Opens a file dialog of the server and gives the chosen name. */
  readonly pickFile?: (input: InputSpec, current: string) => Promise<string | undefined>;
  /** Says a problem to the user, e.g. that an upload failed. */
  readonly problem?: (message: string) => void;
}

export const NO_SERVICES: WidgetServices = {};

/** How a widget changes its value: every change is a command, a pull or a burst of typing one step of the history. */
export interface Edit {
  set(value: Json): void;
  begin(): void;
  commit(): void;
  cancel(): void;
}

export interface WidgetProps {
  readonly spec: InputSpec;
  readonly value: Json | undefined;
  readonly edit: Edit;
  readonly label: string;
  /** Id of the element that names the widget. */
  readonly tab: number;
  readonly disabled: boolean;
  readonly services: WidgetServices;
}
