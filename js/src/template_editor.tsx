// The editor of cluster templates: text and hexagon grid, two sides of one document with one undo history.
import { redo, redoDepth, undo, undoDepth } from "@codemirror/commands";
import type { EditorView } from "@codemirror/view";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import presets from "../../hanami_jupyter/panels/presets.json";
import { useTrait } from "./lib/model";
import { Card, Icon, Notice, panel, useCommand, usePanel, useUnique } from "./lib/panel";
import {
  addHexagon,
  type Change,
  freeName,
  moveHexagon,
  removeHexagon,
  setEnd,
  setSetting,
} from "./template/edit";
import { type Ends, Grid } from "./template/grid";
import { comma, type Kind, type Position, parse, settingOf, type Template } from "./template/parse";
import { createEditor } from "./template/text";
import "./template_editor.css";

const QUIET = 250;

/** Which places are inputs and outputs, and how they are called. */
export function endsOf(template: Template): Ends {
  const kinds: Kind[] = ["input", "output"];
  return Object.fromEntries(
    kinds.flatMap((kind) =>
      template[`${kind}s`].map((end) => [comma(end.position), { kind, name: end.name }]),
    ),
  );
}

/** The line of an offset, counted from 1. */
function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function TemplateEditor() {
  const { model } = usePanel();
  const title = useTrait<string>(model, "title");
  const given = useTrait<string>(model, "text");
  const [text, setText] = useState(given);
  const [selected, setSelected] = useState("");
  const [layer, setLayer] = useState<number | null>(null);
  const view = useRef<EditorView>();
  const parent = useRef<HTMLDivElement>(null);
  const template = useMemo(() => parse(text), [text]);
  const ends = useMemo(() => endsOf(template), [template]);
  const shownLayer = layer ?? template.hexagons[0]?.position[2] ?? 1;

  // made once: what it calls stays the same
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const save = (now: string) => {
      model.set("text", now);
      model.save_changes();
    };
    const editor = createEditor({
      parent: parent.current as HTMLElement,
      text: given,
      changed: (now) => {
        setText(now);
        clearTimeout(timer);
        timer = setTimeout(() => save(now), QUIET);
      },
      moved: (offset) => {
        const { hexagons, inputs, outputs } = parse(editor.state.doc.toString());
        const entry = [...hexagons, ...inputs, ...outputs].find(
          ({ start, end }) => start <= offset && offset <= end,
        );
        if (entry) {
          setSelected(comma(entry.position));
          setLayer(entry.position[2]);
        }
      },
    });
    view.current = editor;
    return () => {
      if (editor.state.doc.toString() !== model.get("text")) save(editor.state.doc.toString());
      clearTimeout(timer);
      editor.destroy();
    };
  }, []);
  useEffect(() => {
    if (view.current && given !== view.current.state.doc.toString()) replace(given);
  }, [given]);

  const now = () => view.current?.state.doc.toString() ?? text;
  const edit = (changes: Change[]) => {
    if (changes.length) view.current?.dispatch({ changes, userEvent: "input" });
  };
  const replace = (now: string) => edit([{ from: 0, to: view.current?.state.doc.length ?? 0, insert: now }]);
  const select = (position: Position) => {
    setSelected(comma(position));
    const entry = template.hexagons.find((hexagon) => comma(hexagon.position) === comma(position));
    if (entry)
      view.current?.dispatch({ selection: { anchor: entry.start, head: entry.end }, scrollIntoView: true });
  };
  const move = (from: Position, to: Position) => {
    edit(moveHexagon(now(), from, to));
    setSelected(comma(to));
  };
  const problems = [...template.problems, ...template.warnings];
  const wrong = template.problems.length;
  const chosen = template.hexagons.find((hexagon) => comma(hexagon.position) === selected)?.position;
  return (
    <Card
      title={title}
      pill={wrong ? `${wrong} problem${wrong > 1 ? "s" : ""}` : "valid"}
      state={wrong ? "failed" : "finished"}
    >
      <div class="hanami-editor">
        <div class="hanami-text" ref={parent} />
        <div class="hanami-drawing">
          <Grid
            template={template}
            ends={ends}
            layer={shownLayer}
            selected={selected}
            select={select}
            add={(position) => {
              edit(addHexagon(now(), position));
              setSelected(comma(position));
            }}
            remove={(position) => edit(removeHexagon(now(), position))}
            move={move}
            turn={(layers) => setLayer(shownLayer + layers)}
          />
          {chosen ? (
            <Chosen
              key={selected}
              position={chosen}
              end={ends[selected]}
              set={(kind, name) => edit(setEnd(now(), chosen, kind, name))}
              suggest={(kind) => freeName(now(), kind)}
              remove={() => edit(removeHexagon(now(), chosen))}
            />
          ) : (
            <p class="hanami-quiet">Click a hexagon to name it, or a dotted place to add one.</p>
          )}
          <Settings template={template} set={(key, value) => edit(setSetting(now(), key, value))} />
        </div>
      </div>
      {problems.length > 0 && (
        <ul class="hanami-problems" aria-label="Problems">
          {problems.map((problem) => (
            <li key={`${problem.start} ${problem.message}`}>
              <Icon state={template.problems.includes(problem) ? "failed" : "aborted"} />{" "}
              <button
                type="button"
                onClick={() => {
                  view.current?.dispatch({ selection: { anchor: problem.start }, scrollIntoView: true });
                  view.current?.focus();
                }}
              >
                line {lineOf(text, problem.start)}
              </button>{" "}
              {problem.message}
            </li>
          ))}
        </ul>
      )}
      <Foot valid={!wrong} text={text} view={view.current} replace={replace} />
    </Card>
  );
}

interface ChosenProps {
  position: Position;
  end: Ends[string] | undefined;
  set: (kind: Kind | "inner", name: string) => void;
  suggest: (kind: Kind) => string;
  remove: () => void;
}

function Chosen({ position, end, set, suggest, remove }: ChosenProps) {
  const id = useUnique();
  const kind = end?.kind ?? "inner";
  const turnInto = (wanted: Kind | "inner") => {
    const own = end && !/^(input|output)(_\d+)?$/.test(end.name) ? end.name : undefined;
    set(wanted, wanted === "inner" ? "" : (own ?? suggest(wanted)));
  };
  return (
    <div class="hanami-fields">
      <strong>{comma(position)}</strong>
      <label for={`${id}k`}>is</label>
      <select id={`${id}k`} value={kind} onChange={(event) => turnInto(event.currentTarget.value as Kind)}>
        {(["inner", "input", "output"] as const).map((value) => (
          <option key={value} value={value} selected={value === kind}>
            {value}
          </option>
        ))}
      </select>
      {end && (
        <>
          <label for={`${id}n`}>named</label>
          <input
            id={`${id}n`}
            class="hanami-short"
            value={end.name}
            onChange={(event) => set(end.kind, event.currentTarget.value.trim() || end.name)}
          />
        </>
      )}
      <button type="button" onClick={remove}>
        Remove
      </button>
    </div>
  );
}

const FIELDS = [
  {
    key: "neuron_cooldown",
    label: "Cooldown",
    min: 1.1,
    step: "any",
    unset: "",
    hint: "divides a neuron's potential each cycle, > 1",
  },
  {
    key: "refractory_time",
    label: "Refractory",
    min: 1,
    step: "1",
    unset: "1",
    hint: "cycles a neuron rests, ≥ 1",
  },
  {
    key: "max_connection_distance",
    label: "Distance",
    min: 1,
    step: "1",
    unset: "1",
    hint: "hexagons a connection may span, ≥ 1",
  },
] as const;

/** A number as the grammar takes it: without exponent. */
export function plain(value: string): string {
  const number = Number(value);
  return /e/i.test(value) && Number.isFinite(number)
    ? number.toLocaleString("en-US", { useGrouping: false })
    : value.trim();
}

function Settings({ template, set }: { template: Template; set: (key: string, value: string) => void }) {
  const id = useUnique();
  const reduction = settingOf(template, "enable_reduction") === true;
  return (
    <div class="hanami-fields">
      {FIELDS.map(({ key, label, min, step, unset, hint }) => (
        <label key={key} title={hint}>
          {label}{" "}
          <input
            type="number"
            class="hanami-short"
            min={min}
            step={step}
            placeholder="none"
            value={String(settingOf(template, key) ?? unset)}
            onChange={(event) => event.currentTarget.value && set(key, plain(event.currentTarget.value))}
          />
        </label>
      ))}
      <label for={id} title="synapses without use fade and are removed">
        <input
          id={id}
          type="checkbox"
          checked={reduction}
          onChange={(event) => set("enable_reduction", String(event.currentTarget.checked))}
        />{" "}
        Reduction
      </label>
    </div>
  );
}

interface FootProps {
  valid: boolean;
  text: string;
  view: EditorView | undefined;
  replace: (text: string) => void;
}

function Foot({ valid, text, view, replace }: FootProps) {
  const { model, gone } = usePanel();
  const connected = useTrait<boolean>(model, "connected");
  const created = useTrait<string>(model, "created");
  const { run, running, error } = useCommand();
  const [name, setName] = useState("digits");
  const [saved, setSaved] = useState("");
  const id = useUnique();
  const disabled = gone || running !== "";
  const send = (command: string) => {
    model.set("text", text); // Python sees the text that it was asked to create or save
    model.save_changes();
    return run<string>(command, { name, text });
  };
  return (
    <footer class="hanami-foot">
      <label>
        Start from{" "}
        <select
          value=""
          onChange={(event) => {
            const preset = (presets as Record<string, string>)[event.currentTarget.value];
            if (preset) replace(preset);
            event.currentTarget.value = "";
          }}
        >
          <option value="">choose</option>
          {Object.keys(presets).map((preset) => (
            <option key={preset} value={preset}>
              {preset}
            </option>
          ))}
        </select>
      </label>
      <button type="button" disabled={!view || !undoDepth(view.state)} onClick={() => view && undo(view)}>
        Undo
      </button>
      <button type="button" disabled={!view || !redoDepth(view.state)} onClick={() => view && redo(view)}>
        Redo
      </button>
      <span class="hanami-create">
        <label for={id}>Name</label>
        <input
          id={id}
          class="hanami-name-field"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <button
          type="button"
          disabled={disabled}
          onClick={async () => {
            const path = await send("save");
            if (path) setSaved(path);
          }}
        >
          Save as file
        </button>
        <button
          type="button"
          class="hanami-primary"
          disabled={disabled || !valid || !connected}
          title={connected ? "" : "Give the editor a session to create clusters."}
          onClick={() => send("create")}
        >
          {running === "create" ? "Creating" : "Create cluster"}
        </button>
      </span>
      <div class="hanami-outcome" aria-live="polite">
        {error && <Notice text={error} />}
        {!error && created && (
          <p class="hanami-notice">
            <Icon state="finished" /> {created}
          </p>
        )}
        {!error && saved && (
          <p class="hanami-notice">
            <Icon state="finished" /> Saved as {saved}
          </p>
        )}
      </div>
    </footer>
  );
}

export default panel(() => <TemplateEditor />);
