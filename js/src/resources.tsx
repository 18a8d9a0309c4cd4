// A list with what can be done to it: forms, questions, files; Python says which, and does it.
import { useEffect, useRef, useState } from "preact/hooks";
import { count } from "./lib/format";
import { useTrait } from "./lib/model";
import { Card, Notice, panel, useCommand, usePanel } from "./lib/panel";
import { type Listing, type Row, Table } from "./lib/table";
import { type Offered, save, send } from "./lib/transfer";
import { Form, type FormField } from "./resources/form";
import { Plot } from "./resources/plot";
import "./resources.css";

export interface Action {
  name: string;
  label: string;
  row: boolean;
  form: boolean;
  question: string;
  keep: string;
  file: boolean;
}

interface Words {
  many: string;
  empty: string;
  detailed: boolean;
  plotted: boolean;
}

/** A question with the row's values in it: "Delete 'digits'?" from "Delete '{name}'?". */
export function asked(question: string, row: Row): string {
  return question.replace(/\{(\w+)\}/g, (_, column: string) => String(row[column] ?? ""));
}

/** "1 host", "2 hosts", as the pill says it. */
export function pill(total: number | null, many: string, notice: string): string {
  if (total === null) return notice ? "unknown" : "looking…";
  const one = many.endsWith("ies") ? `${many.slice(0, -3)}y` : many.replace(/s$/, "");
  return `${count(total)} ${total === 1 ? one : many}`;
}

interface ActionsProps {
  actions: Action[];
  row: Row;
  selected: string;
  done: () => void;
}

/** The buttons of a row or of the list; one of them may be open as a form or a question. */
function Actions({ actions, row, selected, done }: ActionsProps) {
  const { commands, gone } = usePanel();
  const { run, running, error, setError } = useCommand();
  const [open, setOpen] = useState<{ action: Action; fields: FormField[] } | null>(null);
  const pressed = useRef<string>("");
  const buttons = useRef<HTMLSpanElement>(null);
  const act = async (action: Action, filled: Record<string, unknown> = {}, secret?: string) => {
    let values = filled;
    if (filled.file instanceof File) {
      const number = await send(commands, filled.file).catch((reason: Error) => setError(reason.message));
      if (number === undefined) return;
      values = { ...filled, file: number };
    }
    const command = { action: action.name, key: selected, values };
    const answer = await run<{ file?: Offered }>("act", command, secret);
    if (!answer) return;
    setOpen(null);
    done();
    if (answer.file) await save(commands, answer.file).catch((reason: Error) => setError(reason.message));
  };
  const press = async (action: Action) => {
    pressed.current = action.name;
    setError("");
    if (action.form) {
      const fields = await run<FormField[]>("form", { action: action.name, key: selected });
      if (fields) setOpen({ action, fields });
    } else if (action.question) setOpen({ action, fields: [] });
    else act(action);
  };
  const close = () => {
    setOpen(null);
    setError("");
    requestAnimationFrame(() =>
      buttons.current?.querySelector<HTMLElement>(`[data-action="${pressed.current}"]`)?.focus(),
    );
  };
  if (!actions.length) return null;
  return (
    <>
      {!open && (
        <span class="hanami-buttons" ref={buttons}>
          {actions.map((action) => (
            <button
              key={action.name}
              type="button"
              data-action={action.name}
              disabled={gone || running !== ""}
              onClick={() => press(action)}
            >
              {action.label}
            </button>
          ))}
        </span>
      )}
      {open && (
        <Form
          key={open.action.name}
          action={open.action}
          fields={open.fields}
          question={asked(open.action.question, row)}
          busy={running !== ""}
          submit={(values, secret) => act(open.action, values, secret)}
          close={close}
        />
      )}
      {error && <Notice text={error} />}
    </>
  );
}

/** What the list does not show of the selected row. */
function About({ selected, version }: { selected: string; version: number }) {
  const { commands } = usePanel();
  const [pairs, setPairs] = useState<[string, string][]>([]);
  const [error, setError] = useState("");
  useEffect(() => {
    let wanted = true;
    commands.send<[string, string][]>("about", { key: selected }).then(
      (found) => {
        if (!wanted) return;
        setPairs(found);
        setError("");
      },
      (reason: Error) => wanted && setError(reason.message),
    );
    return () => {
      wanted = false;
    };
  }, [commands, selected, version]);
  if (error) return <Notice text={error} />;
  return (
    <dl class="hanami-about">
      {pairs.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Resources() {
  const { model } = usePanel();
  const title = useTrait<string>(model, "title");
  const { total, version } = useTrait<Listing>(model, "listing");
  const selected = useTrait<string>(model, "selected");
  const offered = useTrait<Action[]>(model, "offered");
  const words = useTrait<Words>(model, "words");
  const said = useTrait<string>(model, "said");
  const notice = useTrait<string>(model, "notice");
  const [turn, setTurn] = useState(0);
  const done = () => setTurn((before) => before + 1);
  const [ofRow, ofList] = [true, false].map((row) => offered.filter((action) => action.row === row));
  return (
    <Card title={title} pill={pill(total, words.many, notice)} state="idle">
      <Table
        label={words.many}
        empty={words.empty}
        actions={(row, key) => (
          <>
            {words.detailed && <About selected={key} version={version + turn} />}
            {words.plotted && <Plot selected={key} />}
            <Actions actions={ofRow ?? []} row={row} selected={key} done={done} />
          </>
        )}
      />
      <div class="hanami-foot">
        <Actions actions={ofList ?? []} row={{}} selected={selected} done={done} />
        <span class="hanami-said" role="status">
          {said}
        </span>
      </div>
    </Card>
  );
}

export default panel(() => <Resources />);
