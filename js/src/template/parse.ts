// Reads a cluster template in the browser, so that the picture lives while the kernel is busy.
// The judge is hanami_jupyter/protocol/template.py; both read tests/panels/templates.json.

import { nearest } from "./spelling";

export type Position = [number, number, number];
export type Kind = "input" | "output";
type Block = "version" | "settings" | "hexagons" | "inputs" | "outputs";

export interface Span {
  start: number;
  end: number;
}

export interface Problem extends Span {
  message: string;
}

export interface Hexagon extends Span {
  position: Position;
}

export interface End extends Hexagon {
  name: string;
}

export interface Setting extends Span {
  key: string;
  value: number | boolean;
  valueStart: number;
}

export interface Template {
  settings: Setting[];
  hexagons: Hexagon[];
  inputs: End[];
  outputs: End[];
  /** Where each block's entries begin: behind its colon. */
  blocks: Partial<Record<Block, number>>;
  problems: Problem[];
  warnings: Problem[];
}

export const BLOCKS: Block[] = ["version", "settings", "hexagons", "inputs", "outputs"];
export const SETTINGS = ["neuron_cooldown", "refractory_time", "max_connection_distance", "enable_reduction"];
const KEYWORDS = new Set<string>([...BLOCKS, ...SETTINGS, "axons", "true", "false", "True", "False"]);
const MAX_NAME = 254;
const MAX_INT = 2 ** 31 - 1;
const TOKEN =
  /(?<skip>[ \t\n]+|#[^\n\r]*)|(?<number>-?\d+(?:\.\d+)?(?![A-Za-z_0-9.]))|(?<word>[A-Za-z_0-9]+(?![^ \t\n:,#]))|(?<mark>[:,])|(?<bad>[^ \t\n:,#]+)/g;

interface Token extends Span {
  kind: string;
  text: string;
  line: number;
}

class SyntaxProblem extends Error {}

export function comma(position: Position): string {
  return position.join(",");
}

class Reader {
  readonly found: Template = {
    settings: [],
    hexagons: [],
    inputs: [],
    outputs: [],
    blocks: {},
    problems: [],
    warnings: [],
  };
  private readonly tokens: Token[] = [];
  private at = 0;
  private reading: Block | undefined;

  constructor(text: string) {
    let line = 1;
    for (const match of text.matchAll(TOKEN)) {
      const kind = Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined)?.[0] ?? "bad";
      const [start, end] = [match.index, match.index + match[0].length];
      if (kind !== "skip") this.tokens.push({ kind, text: match[0], start, end, line });
      line += match[0].split("\n").length - 1;
    }
    this.tokens.push({ kind: "end", text: "", start: text.length, end: text.length, line });
  }

  read(): Template {
    this.block("version", () => this.version());
    this.block("settings", () => this.settings());
    this.block("hexagons", () => this.hexagons());
    this.block("inputs", () => this.ends("input"));
    this.block("outputs", () => this.ends("output"));
    if (this.token.kind !== "end") {
      this.note(this.token, `'${this.token.text}' stands behind the end of the template. Remove it.`);
    }
    this.check();
    this.found.problems.sort((one, other) => one.start - other.start);
    return this.found;
  }

  private get token(): Token {
    return this.tokens[this.at] as Token;
  }

  private note(place: Span, message: string, warning = false): void {
    const list = warning ? this.found.warnings : this.found.problems;
    list.push({ message, start: place.start, end: place.end });
  }

  private fail(expected: string): SyntaxProblem {
    const token = this.token;
    if (token.kind === "bad" && token.text.includes("\r")) {
      this.note(token, "The text has Windows line ends. Save it with line feeds only.");
    } else if (token.kind === "end") {
      this.note(token, `The template ends where ${expected} should stand.`);
    } else {
      this.note(token, `'${token.text}' stands where ${expected} should stand.`);
    }
    return new SyntaxProblem();
  }

  private whole(first: Token): Span {
    return { start: first.start, end: (this.tokens[this.at - 1] as Token).end };
  }

  private take(kind: string, expected: string, text?: string): Token {
    const token = this.token;
    if (token.kind !== kind || (text !== undefined && token.text !== text)) throw this.fail(expected);
    this.at += 1;
    return token;
  }

  /** The block that begins here, also where its name is misspelt. */
  private blockHere(): Block | undefined {
    const { kind, text } = this.token;
    if (kind !== "word" || this.tokens[this.at + 1]?.text !== ":") return undefined;
    const known = BLOCKS.find((name) => name === text);
    if (known) return known;
    const ends = this.reading === "inputs" || this.reading === "outputs";
    if (ends && this.tokens[this.at + 2]?.kind === "number") return undefined; // may be named so
    return nearest(text, BLOCKS);
  }

  private atBlock(): boolean {
    return this.token.kind === "end" || this.blockHere() !== undefined;
  }

  private recover(line: number): void {
    while (!this.atBlock() && this.token.line <= line) this.at += 1;
  }

  private block(name: Block, read: () => void): void {
    try {
      if (this.token.text !== name && this.blockHere() === name) {
        this.note(this.token, `'${this.token.text}' is not known here. Did you mean '${name}'?`);
        this.at += 1;
      } else this.take("word", `'${name}:'`, name);
      this.take("mark", `':' after '${name}'`, ":");
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      while (this.token.kind !== "end" && this.blockHere() !== name) {
        const here = this.blockHere();
        if (here && BLOCKS.indexOf(here) > BLOCKS.indexOf(name)) break;
        this.at += 1;
      }
      if (this.blockHere() !== name) return;
      this.at += 2;
    }
    this.reading = name;
    this.found.blocks[name] = (this.tokens[this.at - 1] as Token).end;
    read();
  }

  private entries<T>(read: () => T, what: string, take: (entry: T) => void): void {
    if (this.atBlock()) this.note(this.token, `At least one ${what} is needed here.`);
    while (!this.atBlock()) {
      const before = this.at;
      try {
        take(read());
      } catch (error) {
        if (!(error instanceof SyntaxProblem)) throw error;
        this.recover((this.tokens[before] as Token).line);
        if (this.at === before) this.at += 1;
      }
    }
  }

  private version(): void {
    try {
      const token = this.take("number", "the version '1'");
      if (token.text !== "1") this.note(token, `Version ${token.text} is not known. Write 'version: 1'.`);
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
    }
  }

  private settings(): void {
    const read = () => {
      const key = this.take("word", "a setting, such as 'refractory_time: 1'");
      if (!SETTINGS.includes(key.text)) {
        const close = nearest(key.text, SETTINGS);
        const advice = close ? `Did you mean '${close}'?` : `Use one of ${SETTINGS.join(", ")}.`;
        this.note(key, `Setting '${key.text}' is not known. ${advice}`);
        this.recover(key.line);
        return null;
      }
      this.take("mark", `':' after '${key.text}'`, ":");
      const valueStart = this.token.start;
      const value = this.setting(key.text);
      if (this.found.settings.some((known) => known.key === key.text)) {
        this.note(key, `Setting '${key.text}' is given twice. Remove one.`);
      }
      return { key: key.text, value, valueStart, ...this.whole(key) };
    };
    this.entries<Setting | null>(read, "setting", (entry) => entry && this.found.settings.push(entry));
  }

  private setting(key: string): number | boolean {
    const token = this.token;
    if (key === "enable_reduction") {
      if (!["true", "false", "True", "False"].includes(token.text)) throw this.fail("true or false");
      this.at += 1;
      return token.text.toLowerCase() === "true";
    }
    if (key === "neuron_cooldown") {
      this.take("number", "a number without exponent, such as 10000000.0");
      const value = Number(token.text);
      if (!(value > 1 && Number.isFinite(value))) {
        this.note(token, `neuron_cooldown is ${token.text}, but must be greater than 1.`);
      }
      return value;
    }
    const number = this.integer("a whole number, at least 1");
    if (number < 1) this.note(token, `${key} is ${token.text}, but must be at least 1.`);
    return number;
  }

  private integer(expected: string): number {
    const token = this.take("number", expected);
    if (token.text.includes(".")) {
      this.at -= 1;
      throw this.fail(expected);
    }
    const value = Number(token.text);
    if (Math.abs(value) > MAX_INT) this.note(token, `${token.text} is too large. The limit is ${MAX_INT}.`);
    return value;
  }

  private position(): Position {
    const x = this.integer("a position x,y,z of whole numbers");
    this.take("mark", "',' between x and y", ",");
    const y = this.integer("the whole number y of the position");
    this.take("mark", "',' between y and z", ",");
    return [x, y, this.integer("the whole number z of the position")];
  }

  private hexagons(): void {
    const seen = new Map<string, number>();
    const read = () => {
      const first = this.token;
      return { first, position: this.position() };
    };
    this.entries(read, "hexagon", ({ first, position }) => {
      const [place, span] = [comma(position), this.whole(first)];
      const line = seen.get(place);
      if (line !== undefined) {
        this.note(span, `Hexagon ${place} is listed twice, first in line ${line}. Remove one.`);
      } else seen.set(place, first.line);
      this.found.hexagons.push({ position, ...span });
    });
  }

  private ends(kind: Kind): void {
    const read = () => {
      const first = this.token;
      const name = this.take("word", `the name of an ${kind}, such as '${kind}_hexagon: 1,1,1'`);
      if (KEYWORDS.has(name.text)) {
        this.at -= 1;
        throw this.fail(`the name of an ${kind} that is no keyword`);
      }
      this.take("mark", `':' after '${name.text}'`, ":");
      const position = this.position();
      if (name.text.length > MAX_NAME) {
        this.note(name, `The name has ${name.text.length} characters. The limit is ${MAX_NAME}.`);
      }
      return { name: name.text, position, ...this.whole(first) };
    };
    this.entries(read, kind, (entry) => this.found[`${kind}s`].push(entry));
  }

  private check(): void {
    const known = new Set(this.found.hexagons.map((hexagon) => comma(hexagon.position)));
    const names = new Set<string>();
    for (const kind of ["input", "output"] as const) {
      const used = new Map<string, string>();
      for (const end of this.found[`${kind}s`]) {
        const place = comma(end.position);
        if (!known.has(place)) {
          const what = `Hexagon ${place} is named as ${kind} but is not in the list of hexagons.`;
          this.note(end, `${what} Add it, or move the ${kind}.`);
        }
        if (names.has(end.name)) this.note(end, `The name '${end.name}' is used twice. Rename one.`);
        if (used.has(place)) {
          this.note(end, `Hexagon ${place} is already ${kind} '${used.get(place)}'. Move one.`);
        } else used.set(place, end.name);
        names.add(end.name);
      }
    }
    this.checkReach();
  }

  private checkReach(): void {
    const fed = new Set(this.found.inputs.map((end) => comma(end.position)));
    const steps = Number(settingOf(this.found, "max_connection_distance") ?? 1);
    const reached = new Set(fed);
    const frontier = this.found.inputs.map((end) => end.position);
    for (let from = frontier.pop(); from; from = frontier.pop()) {
      for (const { position } of this.found.hexagons) {
        if (!reached.has(comma(position)) && distance(from, position) <= steps) {
          reached.add(comma(position));
          frontier.push(position);
        }
      }
    }
    for (const end of this.found.outputs) {
      if (fed.has(comma(end.position))) {
        this.note(end, `Output '${end.name}' is an input too: it will learn nothing.`, true);
      }
    }
    for (const end of this.found.outputs) {
      if (!reached.has(comma(end.position))) {
        const what = `No path leads from an input to output '${end.name}'.`;
        this.note(end, `${what} Add hexagons between them, or raise max_connection_distance.`, true);
      }
    }
  }
}

export function parse(text: string): Template {
  return new Reader(text).read();
}

/** The value of a setting, as the last entry gives it. */
export function settingOf(template: Template, key: string): number | boolean | undefined {
  return template.settings.findLast((setting) => setting.key === key)?.value;
}

/** Steps between two hexagons over the grid, as `distance` of the Python module says. */
export function distance(one: Position, other: Position): number {
  const [rows, layers] = [other[1] - one[1], other[2] - one[2]];
  const columns = other[0] - Math.floor(other[1] / 2) - (one[0] - Math.floor(one[1] / 2));
  return (Math.abs(columns + rows) + Math.abs(columns) + Math.abs(layers - rows) + Math.abs(layers)) / 2;
}

/** The six places around a hexagon in its layer. */
export function around([x, y, z]: Position): Position[] {
  const near = y % 2 ? x : x - 1;
  return [
    [x - 1, y, z],
    [x + 1, y, z],
    [near, y - 1, z],
    [near + 1, y - 1, z],
    [near, y + 1, z],
    [near + 1, y + 1, z],
  ];
}
