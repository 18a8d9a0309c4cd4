// The panel of what a network gets right and wrong: epochs, confusion matrix, and the rows behind a cell.
import { useEffect, useState } from "preact/hooks";
import { Epochs, type Run } from "./lib/epochs";
import { share } from "./lib/format";
import { useTrait } from "./lib/model";
import { onMuted, shade } from "./lib/palette";
import { Card, Notice, panel, useCommand, usePanel } from "./lib/panel";
import "./accuracy.css";

interface Shown {
  index: number;
  true: number;
  predicted: number;
  sure: number | null;
  image: string | null;
}

interface Gallery {
  count: number;
  rows: Shown[];
}

export interface Cell {
  order: "cell";
  true: number;
  predicted: number;
}

export type Choice = { order: "wrong" } | { order: "uncertain" } | Cell;

/** The cell that an arrow key leads to; the edges hold. */
export function step(key: string, row: number, column: number, size: number): [number, number] | null {
  const moves: Record<string, [number, number]> = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  };
  const move = moves[key];
  if (!move) return null;
  const inside = (value: number) => Math.min(Math.max(value, 0), size - 1);
  return [inside(row + move[0]), inside(column + move[1])];
}

/** What the gallery shows, in words. */
export function heading(choice: Choice, count: number, classes: string[]): string {
  if (choice.order === "wrong") return `${count} wrong, the surest first`;
  if (choice.order === "uncertain") return "least certain first";
  const [from, to] = [classes[choice.true], classes[choice.predicted]];
  return from === to ? `${count} × ${from} read right` : `${count} × ${from} taken for ${to}`;
}

interface MatrixProps {
  matrix: number[][];
  classes: string[];
  choice: Choice;
  choose: (choice: Choice) => void;
}

function Matrix({ matrix, classes, choice, choose }: MatrixProps) {
  const [focus, setFocus] = useState<[number, number]>([0, 0]);
  const worst = Math.max(2, ...matrix.flatMap((row, i) => row.filter((_, j) => i !== j)));
  const move = (event: KeyboardEvent, row: number, column: number) => {
    const next = step(event.key, row, column, matrix.length);
    if (!next) return;
    event.preventDefault();
    setFocus(next);
    const table = (event.currentTarget as HTMLElement).closest("table");
    table?.querySelector<HTMLElement>(`[data-cell="${next[0]},${next[1]}"]`)?.focus();
  };
  return (
    <div class="hanami-scroll">
      <table class="hanami-matrix">
        <caption>true class down, predicted across</caption>
        <thead>
          <tr>
            <td />
            {classes.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
            <th scope="col">right</th>
          </tr>
        </thead>
        <tbody>
          {matrix.map((row, i) => {
            const rows = row.reduce((sum, count) => sum + count, 0);
            return (
              <tr key={classes[i]}>
                <th scope="row">{classes[i]}</th>
                {row.map((count, j) => {
                  const chosen = choice.order === "cell" && choice.true === i && choice.predicted === j;
                  return (
                    <td key={j}>
                      <button
                        type="button"
                        data-cell={`${i},${j}`}
                        tabIndex={focus[0] === i && focus[1] === j ? 0 : -1}
                        aria-pressed={chosen}
                        aria-label={`${classes[i]} read as ${classes[j]}: ${count}`}
                        style={i === j || !count ? onMuted : shade(count, worst)}
                        onFocus={() => setFocus([i, j])}
                        onKeyDown={(event) => move(event, i, j)}
                        onClick={() => choose({ order: "cell", true: i, predicted: j })}
                      >
                        {count || ""}
                      </button>
                    </td>
                  );
                })}
                <td class="hanami-right">{rows ? share((row[i] ?? 0) / rows) : ""}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Digits({ gallery, classes }: { gallery: Gallery; classes: string[] }) {
  return (
    <div class="hanami-digits">
      {gallery.rows.map((row) => {
        const words = `${classes[row.true]} → ${classes[row.predicted]}`;
        return (
          <figure key={row.index} class="hanami-digit" title={`row ${row.index}`}>
            {row.image && <img src={row.image} alt={`row ${row.index}, ${words}`} />}
            <figcaption>
              {words}
              {!row.image && <span class="hanami-quiet"> row {row.index}</span>}
            </figcaption>
            {row.sure !== null && (
              <div class="hanami-sure" title={`${Math.round(row.sure * 100)} % sure`}>
                <div style={{ width: `${row.sure * 100}%` }} />
              </div>
            )}
          </figure>
        );
      })}
    </div>
  );
}

function Accuracy() {
  const { model, gone } = usePanel();
  const [title, headline] = [useTrait<string>(model, "title"), useTrait<string>(model, "headline")];
  const [runs, classes] = [useTrait<Run[]>(model, "runs"), useTrait<string[]>(model, "classes")];
  const [matrix, selected] = [useTrait<number[][]>(model, "matrix"), useTrait<string>(model, "selected")];
  const { run, error } = useCommand();
  const [choice, choose] = useState<Choice>({ order: "wrong" });
  const [gallery, setGallery] = useState<Gallery | null>(null);
  // a new matrix has other rows behind its cells
  useEffect(() => {
    let current = true;
    if (matrix.length) run<Gallery>("gallery", choice).then((found) => current && found && setGallery(found));
    return () => {
      current = false;
    };
  }, [choice, matrix]);
  if (!matrix.length) {
    return (
      <Card title={title} pill="no results yet" state="idle">
        <p class="hanami-quiet">The accuracy will be here. Give the network's outputs to add().</p>
      </Card>
    );
  }
  return (
    <Card title={title} pill={headline} state="finished">
      <div class="hanami-accuracy">
        <Epochs
          runs={runs}
          selected={selected}
          disabled={gone}
          select={(name) => run("select", { run: name })}
        />
        <Matrix matrix={matrix} classes={classes} choice={choice} choose={choose} />
        <div class="hanami-gallery">
          <div class="hanami-choices">
            <button
              type="button"
              aria-pressed={choice.order === "wrong"}
              onClick={() => choose({ order: "wrong" })}
            >
              Wrong
            </button>
            <button
              type="button"
              aria-pressed={choice.order === "uncertain"}
              onClick={() => choose({ order: "uncertain" })}
            >
              Least certain
            </button>
            <span role="status">{gallery ? heading(choice, gallery.count, classes) : "looking…"}</span>
          </div>
          {gallery && <Digits gallery={gallery} classes={classes} />}
        </div>
      </div>
      {error && <Notice text={error} />}
    </Card>
  );
}

export default panel(() => <Accuracy />);
