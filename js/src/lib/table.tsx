// A list of any length: the kernel sorts and filters, the view shows a page, mouse and keys walk and select.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Uuid } from "./copy";
import { count, moment } from "./format";
import { useTrait } from "./model";
import { Notice, usePanel } from "./panel";
import { step } from "./walk";
import "./table.css";

export type Value = string | number | boolean | null;
export type Row = Record<string, Value>;

export interface Column {
  name: string;
  label: string;
  kind: "text" | "number" | "time" | "uuid" | "flag";
}

/** How long the list is, and which version of it; the total is null before the first. */
export interface Listing {
  version: number;
  total: number | null;
}

/** A page as Python's Rows.page answers it. */
export interface Page {
  columns: Column[];
  offset: number;
  total: number;
  keys: string[];
  rows: Row[];
  selected: Row | null;
}

interface View {
  offset: number;
  sort: string;
  descending: boolean;
  search: string;
}

export interface TableProps {
  /** What the rows are, in the plural: "datasets". */
  label: string;
  /** What is shown while the list is empty: what will be here, and the first step. */
  empty: ComponentChildren;
  /** Rows of a page. */
  size?: number;
  /** Traits and command, where a panel has more than one list. */
  listing?: string;
  selected?: string;
  command?: string;
  /** Cells that are written in their own way, by column. */
  cells?: Record<string, (row: Row, key: string) => ComponentChildren>;
  /** What can be done with the selected row. */
  actions?: (row: Row, key: string) => ComponentChildren;
  /** What can be done with several rows; with it each row has a box. */
  bulk?: (keys: string[], clear: () => void) => ComponentChildren;
}

const START: View = { offset: 0, sort: "", descending: false, search: "" };

/** The page that a view shows, and a way to ask for another; of several questions the latest counts. */
function usePage(command: string, version: number, size: number, selected: string) {
  const { commands } = usePanel();
  const [page, setPage] = useState<Page | null>(null);
  const [error, setError] = useState("");
  const view = useRef(START);
  const asked = useRef(0);
  const ask = async (change: Partial<View>, jump = false): Promise<void> => {
    view.current = { ...view.current, ...change };
    asked.current += 1;
    const number = asked.current;
    try {
      const values = { ...view.current, limit: size, key: selected, jump };
      const answer = await commands.send<Page>(command, values);
      if (number !== asked.current) return;
      view.current = { ...view.current, offset: answer.offset };
      setPage(answer);
      setError("");
    } catch (reason) {
      if (number === asked.current) setError((reason as Error).message);
    }
  };
  // asked anew where the list changed; what the view shows asks for itself
  useEffect(() => {
    if (version) ask({}, page === null);
  }, [version, size]);
  // selected elsewhere: go to its page
  useEffect(() => {
    if (page && selected && !page.keys.includes(selected)) ask({}, true);
  }, [selected]);
  return { page, error, ask, view: view.current };
}

export function Table(props: TableProps) {
  const { label, empty, size = 10, command = "rows" } = props;
  const { model, commands, gone } = usePanel();
  const { version, total } = useTrait<Listing>(model, props.listing ?? "listing");
  const selected = useTrait<string>(model, props.selected ?? "selected");
  const [checked, setChecked] = useState<string[]>([]);
  const { page, error, ask, view } = usePage(command, version, size, selected);
  const select = (key: string) => {
    model.set(props.selected ?? "selected", key);
    model.save_changes();
  };
  if (total === null) return error ? <Notice text={error} /> : null;
  if (total === 0) return <p class="hanami-quiet">{empty}</p>;
  if (!page) return error ? <Notice text={error} /> : null;
  const row = page.rows[page.keys.indexOf(selected)] ?? page.selected;
  return (
    <div class="hanami-list">
      <div class="hanami-tools">
        <input
          type="search"
          aria-label={`Filter ${label}`}
          placeholder="Filter"
          disabled={gone}
          onInput={(event) => ask({ search: event.currentTarget.value, offset: 0 })}
        />
        <button
          type="button"
          aria-label={`Refresh ${label}`}
          disabled={gone}
          onClick={() => commands.send("refresh").catch(() => {})}
        >
          Refresh
        </button>
        <Pager page={page} size={size} total={total} label={label} gone={gone} ask={ask} />
      </div>
      {page.total ? (
        <Grid
          {...{ label, page, size, view, ask, gone, selected, select, checked, setChecked }}
          cells={props.cells ?? {}}
          boxes={props.bulk !== undefined}
        />
      ) : (
        <p class="hanami-quiet">Nothing among {count(total)} matches. Use other words, or fewer.</p>
      )}
      {props.bulk && checked.length > 0 && (
        <div class="hanami-actions">
          <span>{count(checked.length)} marked</span>
          {props.bulk(checked, () => setChecked([]))}
          <button type="button" onClick={() => setChecked([])}>
            Unmark
          </button>
        </div>
      )}
      {props.actions && selected && row && (
        <div class="hanami-actions" key={selected}>
          {props.actions(row, selected)}
        </div>
      )}
      {error && <Notice text={error} />}
    </div>
  );
}

interface PagerProps {
  page: Page;
  size: number;
  total: number;
  label: string;
  gone: boolean;
  ask: (change: Partial<View>) => void;
}

function Pager({ page, size, total, label, gone, ask }: PagerProps) {
  const { offset, total: found } = page;
  const of = found === total ? count(total) : `${count(found)} that match`;
  return (
    <span class="hanami-pager">
      <span aria-live="polite">
        {found > size ? `${count(offset + 1)}–${count(Math.min(offset + size, found))} of ${of}` : of}
      </span>
      {found > size && (
        <>
          <button
            type="button"
            aria-label={`Previous ${label}`}
            disabled={gone || offset === 0}
            onClick={() => ask({ offset: offset - size })}
          >
            ‹
          </button>
          <button
            type="button"
            aria-label={`Next ${label}`}
            disabled={gone || offset + size >= found}
            onClick={() => ask({ offset: offset + size })}
          >
            ›
          </button>
        </>
      )}
    </span>
  );
}

interface GridProps {
  label: string;
  page: Page;
  size: number;
  view: View;
  gone: boolean;
  ask: (change: Partial<View>) => Promise<void>;
  selected: string;
  select: (key: string) => void;
  checked: string[];
  setChecked: (change: (before: string[]) => string[]) => void;
  cells: Record<string, (row: Row, key: string) => ComponentChildren>;
  boxes: boolean;
}

function Grid(props: GridProps) {
  const { label, page, size, view, gone, ask, selected, select, checked, setChecked, cells, boxes } = props;
  const [active, setActive] = useState("");
  const [goal, setGoal] = useState<number | null>(null); // a row of another page, until that page is here
  const body = useRef<HTMLTableSectionElement>(null);
  const focus = (place: number) => body.current?.querySelectorAll("tr")[place - page.offset]?.focus();
  const here = (place: number) => place >= page.offset && place < page.offset + page.keys.length;
  useEffect(() => {
    if (goal === null || !here(goal)) return;
    setGoal(null);
    const held = document.activeElement;
    if (held && held !== document.body && !body.current?.contains(held)) return; // the person went elsewhere
    focus(goal);
  }, [goal, page]);
  const reachable = [active, selected].find((key) => page.keys.includes(key)) ?? page.keys[0];
  const toggle = (key: string) =>
    setChecked((before) =>
      before.includes(key) ? before.filter((other) => other !== key) : [...before, key],
    );
  const press = (event: KeyboardEvent, place: number) => {
    if (event.target !== event.currentTarget) return; // a button inside the row has its own keys
    const key = page.keys[place] as string;
    const to = step(event.key, page.offset + place, size, page.total);
    if (to !== undefined) {
      if (here(to)) focus(to);
      else {
        setGoal(to);
        ask({ offset: to - (to % size) });
      }
    } else if (event.key === "Enter") select(key);
    else if (event.key === " ") boxes ? toggle(key) : select(key);
    else if (event.key === "Escape") select("");
    else return;
    event.preventDefault();
  };
  const sort = ({ name }: Column) =>
    ask({ sort: name, descending: view.sort === name && !view.descending, offset: 0 });
  const all = page.keys.every((key) => checked.includes(key));
  const others = checked.filter((key) => !page.keys.includes(key));
  return (
    <div class="hanami-scroll">
      <table
        class="hanami-table"
        // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: its rows are walked and selected
        role="grid"
        aria-label={label}
        aria-rowcount={page.total + 1}
        aria-multiselectable={boxes}
      >
        <thead>
          <tr aria-rowindex={1}>
            {boxes && (
              <th scope="col">
                <input
                  type="checkbox"
                  aria-label={`Mark all ${label} of this page`}
                  checked={all}
                  onChange={() => setChecked(() => (all ? others : [...others, ...page.keys]))}
                />
              </th>
            )}
            {page.columns.map((column) => (
              <Head key={column.name} {...{ column, view, gone }} sort={() => sort(column)} />
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {page.rows.map((row, i) => {
            const key = page.keys[i] as string;
            return (
              <tr
                key={key}
                tabIndex={key === reachable ? 0 : -1}
                aria-rowindex={page.offset + i + 2}
                aria-selected={key === selected}
                data-key={key}
                onClick={() => select(key)}
                onFocus={() => setActive(key)}
                onKeyDown={(event) => press(event, i)}
              >
                {boxes && (
                  <td class="hanami-box">
                    <input
                      type="checkbox"
                      tabIndex={-1}
                      aria-label={`Mark ${named(row, key)}`}
                      checked={checked.includes(key)}
                      onClick={(event) => event.stopPropagation()}
                      onChange={() => toggle(key)}
                    />
                  </td>
                )}
                {page.columns.map((column) => (
                  <td key={column.name} class={`hanami-${column.kind}`}>
                    {(cells[column.name] ?? (() => <Cell column={column} row={row} of={named(row, key)} />))(
                      row,
                      key,
                    )}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function named(row: Row, key: string): string {
  return String(row.name ?? key);
}

interface HeadProps {
  column: Column;
  view: View;
  gone: boolean;
  sort: () => void;
}

function Head({ column, view, gone, sort }: HeadProps) {
  const mine = view.sort === column.name;
  const order = mine ? (view.descending ? "descending" : "ascending") : "none";
  return (
    <th scope="col" aria-sort={order} class={`hanami-${column.kind}`}>
      <button type="button" disabled={gone} onClick={sort}>
        {column.label}
        <span aria-hidden="true">{mine ? (view.descending ? " ▾" : " ▴") : ""}</span>
      </button>
    </th>
  );
}

function Cell({ column, row, of }: { column: Column; row: Row; of: string }) {
  const value = row[column.name];
  if (value === null || value === undefined || value === "") return null;
  if (column.kind === "number" && typeof value === "number") return <>{number(value)}</>;
  if (column.kind === "flag") return <>{value ? "yes" : "no"}</>;
  if (column.kind === "time")
    return <span title={new Date(Number(value)).toLocaleString()}>{moment(Number(value))}</span>;
  if (column.kind === "uuid") return <Uuid value={String(value)} of={of} tabIndex={-1} />;
  return <span title={String(value)}>{String(value)}</span>;
}

function number(value: number): string {
  return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(4)));
}
