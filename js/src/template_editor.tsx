// The editor of cluster templates: text and hexagon grid, two sides of one document with one undo history.
import { redo, redoDepth, undo, undoDepth } from "@codemirror/commands";
import type { EditorView } from "@codemirror/view";
import type { InputHTMLAttributes } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import presets from "../../hanami_jupyter/panels/presets.json";
import { compact } from "./lib/format";
import { useTrait } from "./lib/model";
import { quantities } from "./lib/palette";
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
import { type Ends, Grid, type Tint } from "./template/grid";
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

export interface Grown {
  place: string;
  blocks: number;
  sections: number;
  synapses: number;
}

export const MEASURES = ["blocks", "sections", "synapses"] as const;
type Measure = (typeof MEASURES)[number];

/** How the picture is tinted by what grew in the cluster; null where it is not. */
export function tintOf(grown: Grown[], measure: string): Tint | null {
  if (!grown.length || !MEASURES.includes(measure as Measure)) return null;
  const counts = new Map(grown.map((row) => [row.place, row[measure as Measure]]));
  return { counts, most: Math.max(...counts.values()) };
}

/** The line of an offset, counted from 1. */
function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function TemplateEditor() {
  const { model } = usePanel();
  const title = useTrait<string>(model, "title");
  const given = useTrait<string>(model, "text");
  const grown = useTrait<Grown[]>(model, "grown");
  const measure = useTrait<string>(model, "tint");
  const tint = useMemo(() => tintOf(grown, measure), [grown, measure]);
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
  const undoAnywhere = (event: KeyboardEvent) => {
    const field = (event.target as Element).closest("input, select, .cm-editor"); // which undo by themselves
    if (field || !view.current || !(event.ctrlKey || event.metaKey)) return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    event.stopPropagation();
    (key === "y" || event.shiftKey ? redo : undo)(view.current);
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
        {/* biome-ignore lint/a11y/noStaticElementInteractions: only what bubbles up from buttons and hexagons */}
        <div class="hanami-drawing" onKeyDown={undoAnywhere}>
          <Grid
            template={template}
            ends={ends}
            tint={tint}
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
          {grown.length > 0 && <TintChoice tint={tint} measure={measure} />}
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

/** Which measure tints the picture, and what its colours mean. */
function TintChoice({ tint, measure }: { tint: Tint | null; measure: string }) {
  const { model } = usePanel();
  const id = useUnique();
  return (
    <div class="hanami-fields">
      <label for={id}>Tint by grown</label>
      <select
        id={id}
        value={measure}
        onChange={(event) => {
          model.set("tint", event.currentTarget.value);
          model.save_changes();
        }}
      >
        {["", ...MEASURES].map((value) => (
          <option key={value} value={value} selected={value === measure}>
            {value || "nothing"}
          </option>
        ))}
      </select>
      {tint && (
        <span class="hanami-legend">
          0 <span style={{ background: `linear-gradient(to right, ${quantities.join(", ")})` }} />{" "}
          {compact(tint.most)}
        </span>
      )}
    </div>
  );
}

interface DraftProps extends InputHTMLAttributes<HTMLInputElement> {
  value: string;
  commit: (value: string) => void;
}

/** A short field that keeps what is being typed while the document around it changes. */
function Draft({ value, commit, ...rest }: DraftProps) {
  const [draft, setDraft] = useState<string | null>(null);
  return (
    <input
      {...rest}
      class="hanami-short"
      value={draft ?? value}
      onInput={(event) => setDraft(event.currentTarget.value)}
      onChange={(event) => commit(event.currentTarget.value)}
      onBlur={() => setDraft(null)}
    />
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
          <Draft id={`${id}n`} value={end.name} commit={(name) => set(end.kind, name.trim() || end.name)} />
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
    unit: "divisor, > 1",
    hint: "a neuron's potential is divided by it each cycle",
  },
  {
    key: "refractory_time",
    label: "Refractory",
    min: 1,
    step: "1",
    unset: "1",
    unit: "cycles, ≥ 1",
    hint: "cycles a neuron rests",
  },
  {
    key: "max_connection_distance",
    label: "Distance",
    min: 1,
    step: "1",
    unset: "1",
    unit: "hexagons, ≥ 1",
    hint: "hexagons a connection may span",
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
      {FIELDS.map(({ key, label, min, step, unset, unit, hint }) => (
        <span key={key} title={hint}>
          <label for={`${id}${key}`}>{label}</label>{" "}
          <Draft
            id={`${id}${key}`}
            type="number"
            min={min}
            step={step}
            placeholder="none"
            value={String(settingOf(template, key) ?? unset)}
            commit={(value) => value && set(key, plain(value))}
          />{" "}
          <span class="hanami-quiet">{unit}</span>
        </span>
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
