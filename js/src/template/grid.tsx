// The picture side of the template editor: a layer of hexagons to click, drag and walk through by keys.
import { useRef, useState } from "preact/hooks";
import { centre, corners, RADIUS } from "../lib/hexagons";
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

interface GridProps {
  template: Template;
  ends: Ends;
  layer: number;
  selected: string;
  select: (position: Position) => void;
  add: (position: Position) => void;
  remove: (position: Position) => void;
  move: (from: Position, to: Position) => void;
  turn: (layers: number) => void;
}

export function Grid({ template, ends, layer, selected, select, add, remove, move, turn }: GridProps) {
  const [focus, setFocus] = useState("");
  const [zoom, setZoom] = useState(1);
  const [shift, setShift] = useState<[number, number]>([0, 0]);
  const svg = useRef<SVGSVGElement>(null);
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
  const box = frame([...shown.values(), ...others], layer, zoom, shift);

  const focusOn = (place: Position) => {
    setFocus(comma(place));
    svg.current?.querySelector<SVGElement>(`[data-place="${comma(place)}"]`)?.focus();
  };
  const press = (event: KeyboardEvent, place: Position, isFree: boolean) => {
    const next = towards(event.key, place, new Set(shown.keys()));
    if (event.key === "Enter" || event.key === " ") isFree ? add(place) : select(place);
    else if ((event.key === "Delete" || event.key === "Backspace") && !isFree) remove(place);
    else if (event.key === "PageUp" || event.key === "PageDown") turn(event.key === "PageUp" ? 1 : -1);
    else if (next && event.shiftKey && !isFree) {
      move(place, next);
      setFocus(comma(next));
      requestAnimationFrame(() => focusOn(next));
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
        aria-label={`Hexagons of layer ${layer}. Arrow keys walk, Enter adds or selects, Shift and arrows move, Delete removes.`}
        onPointerDown={down}
        onPointerMove={pull}
        onPointerUp={up}
        onPointerLeave={() => {
          drag.current = null;
        }}
      >
        <Links all={all} layer={layer} reach={Number(settingOf(template, "max_connection_distance") ?? 1)} />
        {others.map((position) => {
          const [x, y] = centre(position, layer);
          return (
            <polygon
              key={comma(position)}
              class="hanami-other"
              points={corners}
              transform={`translate(${x} ${y})`}
            />
          );
        })}
        {[...shown].map(([key, place]) => {
          const isFree = !mine.includes(place);
          const end = ends[key];
          const [x, y] = centre(place, layer);
          const role = end ? `, ${end.kind} ${end.name}` : "";
          return (
            // biome-ignore lint/a11y/useSemanticElements: a button cannot stand inside a drawing
            <g
              key={key}
              role="button"
              data-place={key}
              class={`hanami-hexagon hanami-${isFree ? "free" : (end?.kind ?? "inner")}`}
              transform={`translate(${x} ${y})`}
              tabIndex={key === entry ? 0 : -1}
              aria-pressed={isFree ? undefined : key === selected}
              aria-label={isFree ? `Add hexagon ${key}` : `Hexagon ${key}${role}`}
              onFocus={() => setFocus(key)}
              onKeyDown={(event) => press(event, place, isFree)}
            >
              <polygon points={corners} />
              {key === selected && <circle r="5" />}
            </g>
          );
        })}
        {mine.map((place) => {
          const [x, y] = centre(place, layer);
          const name = ends[comma(place)]?.name;
          return (
            name && <text key={comma(place)} class="hanami-label" x={x} y={y + RADIUS + 9} children={name} />
          );
        })}
      </svg>
      <div class="hanami-choices">
        <button type="button" aria-label="Layer below" onClick={() => turn(-1)}>
          ◂
        </button>
        <span role="status">layer z = {layer}</span>
        <button type="button" aria-label="Layer above" onClick={() => turn(1)}>
          ▸
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => setZoom(zoom / 1.25)}>
          −
        </button>
        <button type="button" aria-label="Zoom in" onClick={() => setZoom(zoom * 1.25)}>
          +
        </button>
        <button
          type="button"
          onClick={() => {
            setZoom(1);
            setShift([0, 0]);
          }}
        >
          Fit
        </button>
      </div>
    </div>
  );
}

/** Thin lines between hexagons that may connect, thicker where likelier. */
function Links({ all, layer, reach }: { all: Position[]; layer: number; reach: number }) {
  return (
    <g class="hanami-links">
      {all.flatMap((from, i) =>
        all.slice(i + 1).map((to) => {
          const steps = distance(from, to);
          if (steps > reach || steps === 0) return null;
          const [[x1, y1], [x2, y2]] = [centre(from, layer), centre(to, layer)];
          return <line key={`${from}-${to}`} x1={x1} y1={y1} x2={x2} y2={y2} stroke-width={3 / steps} />;
        }),
      )}
    </g>
  );
}

function frame(places: Position[], layer: number, zoom: number, shift: [number, number]) {
  const points = places.map((place) => centre(place, layer));
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const width = Math.max(right - left + 2 * RADIUS + 24, 300) / zoom;
  const height = Math.max(bottom - top + 2 * RADIUS + 20, 200) / zoom;
  const [x, y] = [(left + right - width) / 2 + shift[0], (top + bottom - height) / 2 + shift[1]];
  return { x, y, width, height };
}
