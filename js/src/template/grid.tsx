// The picture side of the template editor: layers of hexagons, one of them to click, drag and walk through by keys.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { compact } from "../lib/format";
import { corners, type Point, projection, RADIUS } from "../lib/hexagons";
import { quantity, readable } from "../lib/palette";
import { around, comma, distance, type Kind, type Position, settingOf, type Template } from "./parse";

/** The free places of a layer: around its hexagons, and beside those of the layers next to it. */
export function ghosts(hexagons: Position[], layer: number): Position[] {
  const known = new Set(hexagons.map(comma));
  const places = hexagons.flatMap((position): Position[] => {
    if (position[2] === layer) return around(position);
    return Math.abs(position[2] - layer) === 1 ? [[position[0], position[1], layer]] : [];
  });
  if (!places.length) places.push([1, 1, layer]);
  const free = new Map(
    places.filter((place) => !known.has(comma(place))).map((place) => [comma(place), place]),
  );
  return [...free.values()];
}

/** The place an arrow key leads to; up and down prefer a place that is shown. */
export function towards(key: string, [x, y, z]: Position, shown: Set<string>): Position | null {
  const near = y % 2 ? x : x - 1;
  const rows = (row: number): Position[] => [
    [near, row, z],
    [near + 1, row, z],
  ];
  const ways: Record<string, Position[]> = {
    ArrowLeft: [[x - 1, y, z]],
    ArrowRight: [[x + 1, y, z]],
    ArrowUp: rows(y - 1),
    ArrowDown: rows(y + 1),
  };
  return ways[key]?.find((place) => shown.has(comma(place))) ?? null;
}

export interface Ends {
  [place: string]: { kind: Kind; name: string };
}

/** What grew in each hexagon, and the most of it. */
export interface Tint {
  counts: Map<string, number>;
  most: number;
}

/** The colours of a hexagon that is tinted by what grew in it. */
export function tinted(
  tint: Tint | null,
  place: string,
): { fill: string; text: string; count: number } | null {
  const count = tint?.counts.get(place);
  if (!tint || count === undefined) return null;
  const colour = quantity(tint.most ? count / tint.most : 0);
  return { fill: `rgb(${colour.join(",")})`, text: readable(colour), count };
}

interface GridProps {
  template: Template;
  ends: Ends;
  tint: Tint | null;
  layer: number;
  selected: string;
  select: (position: Position) => void;
  add: (position: Position) => void;
  remove: (position: Position) => void;
  move: (from: Position, to: Position) => void;
  turn: (layers: number) => void;
}

export function Grid({ template, ends, tint, layer, selected, select, add, remove, move, turn }: GridProps) {
  const [focus, setFocus] = useState("");
  const [zoom, setZoom] = useState(1);
  const [shift, setShift] = useState<[number, number]>([0, 0]);
  const svg = useRef<SVGSVGElement>(null);
  const wanted = useRef<Position | null>(null);
  const drag = useRef<{ from: Position | null; x: number; y: number; moved: boolean } | null>(null);
  const all = template.hexagons.map((hexagon) => hexagon.position);
  const mine = all.filter((position) => position[2] === layer);
  const others = all.filter((position) => position[2] !== layer);
  const free = ghosts(all, layer);
  const shown = new Map([...mine, ...free].map((place) => [comma(place), place]));
  const entry = shown.has(focus)
    ? focus
    : shown.has(selected)
      ? selected
      : comma(mine[0] ?? (free[0] as Position));
  const { at, shape } = projection([...shown.values(), ...others]);
  const moved = (place: Position) =>
    at(place)
      .map((value) => value.toFixed(2))
      .join(" ");
  const low = RADIUS * Number(shape.split(" ")[3]); // half of a hexagon's height
  const layers = beside([...shown.values(), ...others], at);
  const points = [...[...shown.values(), ...others].map(at), ...layers.map(([, x, y]): Point => [x - 14, y])];
  const box = frame(points, zoom, shift);

  const enlarge = (more: boolean) => setZoom((now) => Math.min(Math.max(now * (more ? 1.25 : 0.8), 0.2), 8));
  const showAll = () => {
    setZoom(1);
    setShift([0, 0]);
  };
  const focusOn = (place: Position) => {
    setFocus(comma(place));
    svg.current?.querySelector<SVGElement>(`[data-place="${comma(place)}"]`)?.focus();
  };
  // a hexagon that comes or goes is drawn anew at another place of the document, and loses the focus
  const focusAfter = (place: Position) => {
    setFocus(comma(place));
    wanted.current = place;
  };
  useLayoutEffect(() => {
    const held = document.activeElement;
    if (wanted.current && (held === document.body || svg.current?.contains(held))) focusOn(wanted.current);
    wanted.current = null;
  }, [template]);
  const press = (event: KeyboardEvent, place: Position, isFree: boolean) => {
    const next = towards(event.key, place, new Set(shown.keys()));
    if (event.key === "Enter" || event.key === " ") {
      if (!isFree) select(place);
      else {
        add(place);
        focusAfter(place);
      }
    } else if ((event.key === "Delete" || event.key === "Backspace") && !isFree) {
      remove(place);
      focusAfter(place);
    } else if (event.key === "PageUp" || event.key === "PageDown") turn(event.key === "PageUp" ? 1 : -1);
    else if (event.key === "+" || event.key === "-") enlarge(event.key === "+");
    else if (event.key === "0") showAll();
    else if (next && event.shiftKey && !isFree) {
      move(place, next);
      focusAfter(next);
    } else if (next) focusOn(next);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const down = (event: PointerEvent) => {
    const target = (event.target as Element).closest("[data-place]");
    const from = target?.classList.contains("hanami-free")
      ? null
      : (shown.get(target?.getAttribute("data-place") ?? "") ?? null);
    drag.current = { from, x: event.clientX, y: event.clientY, moved: false };
  };
  const pull = (event: PointerEvent) => {
    const start = drag.current;
    if (!start) return;
    const [x, y] = [event.clientX - start.x, event.clientY - start.y];
    if (Math.hypot(x, y) > 4) start.moved = true;
    if (!start.moved || start.from) return;
    const scale = box.width / (svg.current?.clientWidth || box.width);
    setShift([shift[0] - x * scale, shift[1] - y * scale]);
    Object.assign(start, { x: event.clientX, y: event.clientY });
  };
  const up = (event: PointerEvent) => {
    const start = drag.current;
    drag.current = null;
    const target = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-place]");
    const place = shown.get(target?.getAttribute("data-place") ?? "");
    if (!start || !place || !svg.current?.contains(target ?? null)) return;
    const isFree = !mine.includes(place);
    if (start.moved && start.from) {
      if (isFree) move(start.from, place);
    } else if (!start.moved) {
      setFocus(comma(place));
      if (isFree) add(place);
      else select(place);
    }
  };
  return (
    <div class="hanami-grid">
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be a drawing */}
      <svg
        ref={svg}
        viewBox={`${box.x} ${box.y} ${box.width} ${box.height}`}
        role="group"
        aria-label={`Hexagons of layer ${layer}. Arrow keys walk, Enter adds or selects, Shift and arrows move, Delete removes, plus and minus zoom.`}
        onPointerDown={down}
        onPointerMove={pull}
        onPointerUp={up}
        onWheel={(event) => {
          if (!event.ctrlKey) return; // without it the notebook scrolls
          event.preventDefault();
          enlarge(event.deltaY < 0);
        }}
        onPointerLeave={() => {
          drag.current = null;
        }}
      >
        {others.map((position) => {
          const colours = tinted(tint, comma(position));
          return (
            <polygon
              key={comma(position)}
              class="hanami-other"
              style={{ fill: colours?.fill }}
              points={corners}
              transform={`matrix(${shape} ${moved(position)})`}
            />
          );
        })}
        <Links all={all} at={at} reach={Number(settingOf(template, "max_connection_distance") ?? 1)} />
        {[...shown].map(([key, place]) => {
          const isFree = !mine.includes(place);
          const end = ends[key];
          const colours = tinted(tint, key);
          const role = end ? `, ${end.kind} ${end.name}` : "";
          return (
            // biome-ignore lint/a11y/useSemanticElements: a button cannot stand inside a drawing
            <g
              key={key}
              role="button"
              data-place={key}
              class={`hanami-hexagon hanami-${isFree ? "free" : (end?.kind ?? "inner")}`}
              transform={`matrix(${shape} ${moved(place)})`}
              tabIndex={key === entry ? 0 : -1}
              aria-pressed={isFree ? undefined : key === selected}
              aria-label={
                isFree
                  ? `Add hexagon ${key}`
                  : `Hexagon ${key}${role}${colours ? `, ${colours.count} grown` : ""}`
              }
              onFocus={() => setFocus(key)}
              onKeyDown={(event) => press(event, place, isFree)}
            >
              <polygon points={corners} style={{ fill: colours?.fill }} />
              {key === selected && !colours && <circle r="5" />}
            </g>
          );
        })}
        {mine.map((place) => {
          const colours = tinted(tint, comma(place));
          const [x, y] = at(place);
          return (
            colours && (
              <text key={comma(place)} class="hanami-count" x={x} y={y + 4} style={{ fill: colours.text }}>
                {compact(colours.count)}
              </text>
            )
          );
        })}
        {all.map((place) => {
          const [x, y] = at(place);
          const name = ends[comma(place)]?.name;
          return (
            name && <text key={comma(place)} class="hanami-label" x={x} y={y + low + 9} children={name} />
          );
        })}
        {layers.map(([z, x, y]) => (
          <text key={z} class="hanami-layer" x={x} y={y} children={`z = ${z}`} />
        ))}
      </svg>
      <div class="hanami-choices">
        <button type="button" aria-label="Layer below" onClick={() => turn(-1)}>
          ◂
        </button>
        <span role="status">layer z = {layer}</span>
        <button type="button" aria-label="Layer above" onClick={() => turn(1)}>
          ▸
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => enlarge(false)}>
          −
        </button>
        <button type="button" aria-label="Zoom in" onClick={() => enlarge(true)}>
          +
        </button>
        <button type="button" onClick={showAll}>
          Fit
        </button>
      </div>
    </div>
  );
}

/** Where the layers of a stack are named: left of each; nowhere if there is one layer. */
function beside(places: Position[], at: (place: Position) => Point): [number, number, number][] {
  const layers = [...new Set(places.map(([, , z]) => z))];
  if (layers.length < 2) return [];
  return layers.map((layer) => {
    const points = places.filter(([, , z]) => z === layer).map(at);
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    return [layer, Math.min(...xs) - RADIUS - 8, (Math.min(...ys) + Math.max(...ys)) / 2 + 4];
  });
}

/** Thin lines between hexagons that may connect, thicker where likelier. */
function Links({ all, at, reach }: { all: Position[]; at: (place: Position) => Point; reach: number }) {
  return (
    <g class="hanami-links">
      {all.flatMap((from, i) =>
        all.slice(i + 1).map((to) => {
          const steps = distance(from, to);
          if (steps > reach || steps === 0) return null;
          const [[x1, y1], [x2, y2]] = [at(from), at(to)];
          return <line key={`${from}-${to}`} x1={x1} y1={y1} x2={x2} y2={y2} stroke-width={3 / steps} />;
        }),
      )}
    </g>
  );
}

function frame(points: Point[], zoom: number, shift: Point) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const width = Math.max(right - left + 2 * RADIUS + 24, 300) / zoom;
  const height = Math.max(bottom - top + 2 * RADIUS + 20, 200) / zoom;
  const [x, y] = [(left + right - width) / 2 + shift[0], (top + bottom - height) / 2 + shift[1]];
  return { x, y, width, height };
}
