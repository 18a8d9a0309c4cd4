// The text side of the template editor: CodeMirror with the grammar's colours, completion and problems.
import { autocompletion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, linter } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { BLOCKS, comma, parse, SETTINGS } from "./parse";

const KEYS = new Set<string>([...BLOCKS, ...SETTINGS, "true", "false"]);

const language = StreamLanguage.define({
  token(stream) {
    if (stream.match(/#.*/)) return "comment";
    if (stream.match(/-?\d+(\.\d+)?/)) return "number";
    const word = stream.match(/[A-Za-z_]\w*/) as RegExpMatchArray | null;
    if (word) return KEYS.has(word[0]) ? "keyword" : "variableName";
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: "#" } },
});

const colours = HighlightStyle.define([
  { tag: tags.comment, color: "var(--hanami-quiet)", fontStyle: "italic" },
  { tag: tags.keyword, color: "var(--hanami-text)", fontWeight: "600" },
  { tag: tags.variableName, color: "var(--hanami-text)" },
]);

/** Every problem and warning of the text, at its characters. */
export function diagnostics(text: string): Diagnostic[] {
  const { problems, warnings } = parse(text);
  const mark =
    (severity: Diagnostic["severity"]) => (problem: { start: number; end: number; message: string }) => ({
      from: Math.min(problem.start, text.length),
      to: Math.min(problem.end, text.length),
      severity,
      message: problem.message,
    });
  return [...problems.map(mark("error")), ...warnings.map(mark("warning"))];
}

const EXAMPLES: Record<string, string> = {
  neuron_cooldown: "10000000.0",
  refractory_time: "1",
  max_connection_distance: "1",
  enable_reduction: "false",
  version: "1",
};

/** Keys that are still missing, and behind a name's colon the hexagons there are. */
export function complete(context: CompletionContext): CompletionResult | null {
  const text = context.state.doc.toString();
  const place = context.matchBefore(/^\s*\w+: *[-\d,]*/m);
  const template = parse(text);
  const line = context.state.doc.lineAt(context.pos);
  const inEnds = (template.blocks.inputs ?? text.length) < line.from;
  if (place && inEnds) {
    const options = template.hexagons.map((hexagon) => ({ label: comma(hexagon.position) }));
    return {
      from: place.from + place.text.search(/: */) + (/: */.exec(place.text)?.[0].length ?? 0),
      options,
    };
  }
  const word = context.matchBefore(/^\s*\w*$/m) ?? context.matchBefore(/\w+/);
  if (!word || (!context.explicit && !word.text.trim())) return null;
  const used = new Set([...Object.keys(template.blocks), ...template.settings.map((entry) => entry.key)]);
  const options = [...SETTINGS, ...BLOCKS]
    .filter((key) => !used.has(key))
    .map((key) => ({
      label: key,
      apply: EXAMPLES[key] ? `${key}: ${EXAMPLES[key]}` : `${key}:`,
      type: "keyword",
    }));
  return { from: word.from + (word.text.length - word.text.trimStart().length), options };
}

interface Wanted {
  parent: HTMLElement;
  text: string;
  changed: (text: string) => void;
  moved: (offset: number) => void;
}

export function createEditor({ parent, text, changed, moved }: Wanted): EditorView {
  return new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        EditorView.lineWrapping,
        history(),
        drawSelection(),
        keymap.of([...defaultKeymap, ...historyKeymap]),
        language,
        syntaxHighlighting(colours),
        autocompletion({ override: [complete] }),
        linter((view) => diagnostics(view.state.doc.toString()), { delay: 100 }),
        EditorView.contentAttributes.of({ "aria-label": "Template text", spellcheck: "false" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) changed(update.state.doc.toString());
          if (update.selectionSet && update.transactions.some((step) => step.isUserEvent("select"))) {
            moved(update.state.selection.main.head);
          }
        }),
      ],
    }),
  });
}
