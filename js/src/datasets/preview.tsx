// A look into a dataset: what its columns hold, in figures and histograms, and its rows, page by page.
import { useEffect, useState } from "preact/hooks";
import { count } from "../lib/format";
import { Notice, usePanel } from "../lib/panel";

interface Column {
  name: string;
  width: number;
}

interface About {
  name: string;
  rows: number;
  columns: Column[];
}

export interface Statistics {
  /** How many rows the figures rest on. */
  rows: number;
  /** Each row is a class: the counts are those of the classes, else of a histogram from low to high. */
  classes: boolean;
  counts: number[];
  low?: number | null;
  high?: number | null;
  mean?: number | null;
}

export type Cell = { value: string } | { class: number } | { image: string };

const COLUMNS = 6;
const ROWS = 5;
const SMALLEST = 16; // values that may be a picture

/** The width of the square picture that so many values may be; 0 for none. */
export function side(width: number): number {
  const root = Math.round(Math.sqrt(width));
  return width >= SMALLEST && root * root === width ? root : 0;
}

const short = (value: number) => String(Number(value.toPrecision(4)));

/** What a column holds, in words. */
export function told({ width }: Column, statistics: Statistics | undefined): string {
  const size = width > 1 ? `${count(width)} values` : "number";
  if (!statistics) return size;
  if (statistics.classes) return `${statistics.counts.length} classes`;
  const { low, high, mean } = statistics;
  if (low === null || low === undefined || high === null || high === undefined) return `${size}, none known`;
  return `${width > 1 ? `${size}, ` : ""}${short(low)} to ${short(high)}, mean ${short(mean ?? Number.NaN)}`;
}

const [WIDTH, HEIGHT] = [96, 28];

export function Histogram({ counts, label }: { counts: number[]; label: string }) {
  const most = Math.max(...counts, 1);
  const step = WIDTH / counts.length;
  return (
    <svg
      class="hanami-histogram"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      {counts.map((value, i) => {
        const height = value && Math.max(1, (value / most) * (HEIGHT - 2)); // a single row is to be seen too
        return (
          <rect
            key={i}
            x={i * step}
            y={HEIGHT - 1 - height}
            width={Math.max(step - 1, 0.5)}
            height={height}
          />
        );
      })}
      <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
    </svg>
  );
}

export function Preview({ dataset, close }: { dataset: string; close: () => void }) {
  const { commands, gone } = usePanel();
  const [about, setAbout] = useState<About | null>(null);
  const [figures, setFigures] = useState<Record<string, Statistics>>({});
  const [widths, setWidths] = useState<Record<string, number>>({});
  const [first, setFirst] = useState(0);
  const [offset, setOffset] = useState(0);
  const [rows, setRows] = useState<Cell[][]>([]);
  const [error, setError] = useState("");
  const shown = about?.columns.slice(first, first + COLUMNS) ?? [];
  const width = (column: Column) => widths[column.name] ?? side(column.width);
  useEffect(() => {
    const fail = (reason: Error) => setError(reason.message);
    commands.send<About>("describe", { dataset }).then(setAbout, fail);
  }, [commands, dataset]);
  useEffect(() => {
    if (!about?.rows) return;
    let current = true;
    const fail = (reason: Error) => current && setError(reason.message);
    const values = {
      dataset,
      columns: shown.map(({ name }) => name),
      offset,
      limit: Math.min(ROWS, about.rows - offset),
      widths: Object.fromEntries(shown.map((column) => [column.name, width(column)])),
    };
    commands.send<Cell[][]>("preview", values).then((answer) => current && setRows(answer), fail);
    return () => {
      current = false;
    };
  }, [about, first, offset, widths]);
  useEffect(() => {
    if (!about?.rows) return;
    for (const { name, width } of shown.filter((column) => !(column.name in figures))) {
      commands.send<Statistics>("statistics", { dataset, column: name, rows: about.rows, width }).then(
        (answer) => setFigures((before) => ({ ...before, [name]: answer })),
        (reason: Error) => setError(reason.message),
      );
    }
  }, [about, first]);
  if (!about) return error ? <Notice text={error} /> : <p class="hanami-quiet">Looking into the dataset…</p>;
  const go = (to: number) => setOffset(Math.min(Math.max(to, 0), Math.max(about.rows - 1, 0)));
  return (
    <section class="hanami-preview" aria-label={`dataset ${about.name}`}>
      <div class="hanami-tools">
        <span>
          <strong>{about.name}</strong> · {count(about.rows)} rows · {count(about.columns.length)}{" "}
          {about.columns.length === 1 ? "column" : "columns"}
        </span>
        <Steps
          what="columns"
          first={first}
          size={COLUMNS}
          total={about.columns.length}
          gone={gone}
          go={(to) => setFirst(to)}
        />
        <span class="hanami-pager">
          <label>
            Row{" "}
            <input
              type="number"
              min="0"
              max={about.rows - 1}
              value={offset}
              disabled={gone}
              onChange={(event) => go(Math.floor(Number(event.currentTarget.value) || 0))}
            />
          </label>
          <Steps what="rows" first={offset} size={ROWS} total={about.rows} gone={gone} go={go} />
          <button type="button" onClick={close}>
            Close
          </button>
        </span>
      </div>
      {error && <Notice text={error} />}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it */}
      <div class="hanami-scroll" tabIndex={0}>
        <table class="hanami-table">
          <thead>
            <tr>
              <th scope="col" class="hanami-number">
                Row
              </th>
              {shown.map((column) => (
                <Head
                  key={column.name}
                  {...{ column, gone }}
                  rows={about.rows}
                  figures={figures[column.name]}
                  width={width(column)}
                  setWidth={(to) => setWidths({ ...widths, [column.name]: to })}
                />
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, i) => (
              <tr key={offset + i}>
                <th scope="row" class="hanami-number">
                  {count(offset + i)}
                </th>
                {row.map((cell, j) => (
                  <Value key={shown[j]?.name} cell={cell} label={`${shown[j]?.name} of row ${offset + i}`} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface StepsProps {
  what: string;
  first: number;
  size: number;
  total: number;
  gone: boolean;
  go: (to: number) => void;
}

function Steps({ what, first, size, total, gone, go }: StepsProps) {
  if (total <= size) return null;
  return (
    <span class="hanami-steps">
      {what === "columns" && `${count(first + 1)}–${count(Math.min(first + size, total))}`}
      <button
        type="button"
        aria-label={`Previous ${what}`}
        disabled={gone || first === 0}
        onClick={() => go(Math.max(first - size, 0))}
      >
        ‹
      </button>
      <button
        type="button"
        aria-label={`Next ${what}`}
        disabled={gone || first + size >= total}
        onClick={() => go(first + size)}
      >
        ›
      </button>
    </span>
  );
}

interface HeadProps {
  column: Column;
  rows: number;
  figures: Statistics | undefined;
  width: number;
  gone: boolean;
  setWidth: (width: number) => void;
}

function Head({ column, rows, figures, width, gone, setWidth }: HeadProps) {
  const words = told(column, figures);
  const part = figures && figures.rows < rows ? `from ${count(figures.rows)} rows` : "";
  const unknown = column.width < SMALLEST || figures?.classes !== false;
  return (
    <th scope="col" class={column.width === 1 ? "hanami-number" : ""}>
      <strong>{column.name}</strong>
      {figures && figures.counts.length > 0 ? (
        <Histogram counts={figures.counts} label={`Histogram of ${column.name}: ${words} ${part}`} />
      ) : (
        <svg width={WIDTH} height={HEIGHT} aria-hidden="true" />
      )}
      <span>{words}</span>
      {part && <span>{part}</span>}
      {!unknown && (
        <label title="How wide the picture is that the values are; 0 for none">
          picture width{" "}
          <input
            type="number"
            min="0"
            max={column.width}
            value={width}
            disabled={gone}
            onChange={(event) => setWidth(Math.max(0, Math.floor(Number(event.currentTarget.value) || 0)))}
          />
        </label>
      )}
    </th>
  );
}

function Value({ cell, label }: { cell: Cell; label: string }) {
  if ("image" in cell) {
    return (
      <td>
        <img src={cell.image} alt={label} />
      </td>
    );
  }
  if ("class" in cell) return <td>class {cell.class}</td>;
  return <td class={cell.value.includes(",") ? "" : "hanami-number"}>{cell.value}</td>;
}
