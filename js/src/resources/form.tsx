// The small form of an action, or the question before it: fields from Python, a verb, a way back.
import { useEffect, useRef, useState } from "preact/hooks";
import { submitOnEnter, usePanel, useUnique } from "../lib/panel";
import type { Action } from "../resources";

export interface FormField {
  name: string;
  label: string;
  kind: "text" | "password" | "choice" | "flag";
  value: string | boolean;
  choices: [string, string][];
}

interface FormProps {
  action: Action;
  fields: FormField[];
  question: string;
  busy: boolean;
  submit: (values: Record<string, unknown>, secret?: string) => void;
  close: () => void;
}

export function Form({ action, fields, question, busy, submit, close }: FormProps) {
  const { gone } = usePanel();
  const [values, setValues] = useState<Record<string, string | boolean>>(() =>
    Object.fromEntries(fields.filter(({ kind }) => kind !== "password").map((one) => [one.name, one.value])),
  );
  const [file, setFile] = useState<File | null>(null);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    form.current?.querySelector<HTMLElement>(question ? "[data-keep]" : "input, select")?.focus();
  }, [question]);
  const send = (event: Event) => {
    event.preventDefault();
    const secret = form.current?.querySelector<HTMLInputElement>("input[type=password]");
    submit(file ? { ...values, file } : values, secret?.value);
    if (secret) secret.value = "";
  };
  const set = (name: string, value: string | boolean) => setValues({ ...values, [name]: value });
  return (
    <form
      class="hanami-form"
      ref={form}
      aria-label={action.label}
      onSubmit={send}
      onKeyDown={(event) => (event.key === "Escape" ? close() : submitOnEnter(event))}
    >
      {question && <span>{question}</span>}
      {action.file && (
        <label>
          File{" "}
          <input type="file" required onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)} />
        </label>
      )}
      {fields.map((field) => (
        <Entry key={field.name} field={field} value={values[field.name]} set={set} />
      ))}
      <span class="hanami-buttons">
        <button type="submit" class="hanami-primary" disabled={gone || busy}>
          {action.label}
        </button>
        <button type="button" data-keep onClick={close}>
          {question ? action.keep : "Close"}
        </button>
      </span>
    </form>
  );
}

interface EntryProps {
  field: FormField;
  value: string | boolean | undefined;
  set: (name: string, value: string | boolean) => void;
}

function Entry({ field: { name, label, kind, choices }, value, set }: EntryProps) {
  const id = useUnique();
  if (kind === "flag")
    return (
      <span>
        <input
          id={id}
          type="checkbox"
          checked={value === true}
          onChange={(event) => set(name, event.currentTarget.checked)}
        />{" "}
        <label for={id}>{label}</label>
      </span>
    );
  return (
    <span>
      <label for={id}>{label}</label>{" "}
      {kind === "choice" ? (
        <select id={id} value={String(value)} onChange={(event) => set(name, event.currentTarget.value)}>
          {choices.map(([choice, shown]) => (
            <option key={choice} value={choice}>
              {shown}
            </option>
          ))}
        </select>
      ) : kind === "password" ? (
        <input id={id} type="password" required autocomplete="new-password" />
      ) : (
        <input
          id={id}
          required
          value={String(value)}
          onInput={(event) => set(name, event.currentTarget.value)}
        />
      )}
    </span>
  );
}
