// Edits of a template's text that leave its comments, order and indentation alone.
import { comma, type End, type Kind, type Position, parse, type Span, type Template } from "./parse";

export interface Change {
  from: number;
  to: number;
  insert: string;
}

const same = (one: Position, other: Position) => comma(one) === comma(other);

/** The span of an entry with its whole line, comment included, where it is alone on it. */
function line(text: string, { start, end }: Span): Change {
  const from = text.lastIndexOf("\n", start - 1) + 1;
  const next = text.indexOf("\n", end);
  const to = next < 0 ? text.length : next;
  const alone = /^\s*$/.test(text.slice(from, start)) && /^\s*(#.*)?$/.test(text.slice(end, to));
  return alone
    ? { from, to: Math.min(to + 1, text.length), insert: "" }
    : { from: start, to: end, insert: "" };
}

/** Append an entry to a block, below its last one and indented like it. */
function append(text: string, head: number | undefined, entries: Span[], entry: string): Change[] {
  if (head === undefined) return [];
  const last = entries.at(-1);
  if (!last) return [{ from: head, to: head, insert: `\n    ${entry}` }];
  const from = text.lastIndexOf("\n", last.start - 1) + 1;
  const indent = /^\s*/.exec(text.slice(from, last.start))?.[0] ?? "";
  const next = text.indexOf("\n", last.end);
  const end = next < 0 ? text.length : next;
  const rest = text.slice(last.end, end);
  const place = /^\s*(#.*)?$/.test(rest) ? end : last.end;
  return [{ from: place, to: place, insert: `\n${indent || "    "}${entry}` }];
}

const endsAt = (template: Template, position: Position) =>
  [...template.inputs, ...template.outputs].filter((end) => same(end.position, position));

export function addHexagon(text: string, position: Position): Change[] {
  const template = parse(text);
  if (template.hexagons.some((hexagon) => same(hexagon.position, position))) return [];
  return append(text, template.blocks.hexagons, template.hexagons, comma(position));
}

export function removeHexagon(text: string, position: Position): Change[] {
  const template = parse(text);
  const gone = template.hexagons.filter((hexagon) => same(hexagon.position, position));
  return [...gone, ...endsAt(template, position)].map((entry) => line(text, entry));
}

/** Move a hexagon to a free place; an input or output on it goes along. */
export function moveHexagon(text: string, from: Position, to: Position): Change[] {
  const template = parse(text);
  const taken = template.hexagons.some((hexagon) => same(hexagon.position, to));
  const hexagons = template.hexagons.filter((hexagon) => same(hexagon.position, from));
  if (taken || !hexagons.length) return [];
  const replaced = (entry: Span, words: string) => ({ from: entry.start, to: entry.end, insert: words });
  return [
    ...hexagons.map((hexagon) => replaced(hexagon, comma(to))),
    ...endsAt(template, from).map((end) => replaced(end, `${end.name}: ${comma(to)}`)),
  ];
}

/** Make a hexagon an input or output of this name, or neither. */
export function setEnd(text: string, position: Position, kind: Kind | "inner", name: string): Change[] {
  const template = parse(text);
  const changes: Change[] = [];
  let kept: End | undefined;
  for (const block of ["input", "output"] as const) {
    for (const end of template[`${block}s`].filter((entry) => same(entry.position, position))) {
      if (block === kind && !kept) {
        kept = end;
        changes.push({ from: end.start, to: end.end, insert: `${name}: ${comma(position)}` });
      } else changes.push(line(text, end));
    }
  }
  if (kind === "inner" || kept) return changes;
  return [
    ...changes,
    ...append(text, template.blocks[`${kind}s`], template[`${kind}s`], `${name}: ${comma(position)}`),
  ];
}

export function setSetting(text: string, key: string, value: string): Change[] {
  const template = parse(text);
  const entry = template.settings.findLast((setting) => setting.key === key);
  if (entry) return [{ from: entry.valueStart, to: entry.end, insert: value }];
  return append(text, template.blocks.settings, template.settings, `${key}: ${value}`);
}

/** A name that is free: the wish itself, or the wish with the first number that makes it so. */
export function freeName(text: string, wish: string): string {
  const template = parse(text);
  const names = new Set([...template.inputs, ...template.outputs].map((end) => end.name));
  let name = wish;
  for (let number = 2; names.has(name); number++) name = `${wish}_${number}`;
  return name;
}

export function apply(text: string, changes: Change[]): string {
  return [...changes]
    .sort((one, other) => other.from - one.from)
    .reduce((now, { from, to, insert }) => now.slice(0, from) + insert + now.slice(to), text);
}
