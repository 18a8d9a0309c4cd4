// Curves with axes: lines over rows or time, in the colours of categories; what is under the pointer is told.
import "./lines.css";
import { category } from "./palette";

export interface Line {
  name: string;
  values: (number | null)[];
}

interface LinesProps {
  lines: Line[];
  /** What the picture shows, for those who do not see it. */
  label: string;
  unit?: string;
  /** What stands at the left and the right end below the axis. */
  ends: [string, string];
  /** Whether the axis begins at zero whatever the values are. */
  grounded?: boolean;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [360, 140, 46, 6, 8, 20];

/** Round steps that cover a range: 1, 2 or 5 times a power of ten apart, five lines at most. */
export function marks(low: number, high: number): number[] {
  const range = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(range / 4));
  const size = ([1, 2, 5, 10].find((step) => range / (step * power) <= 4) ?? 10) * power;
  const first = Math.floor(low / size + 1e-9);
  const last = Math.max(Math.ceil(high / size - 1e-9), first + 1);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * size).toPrecision(12)));
}

/** The points of a line, broken where a value is missing. */
export function path(values: (number | null)[], x: (i: number) => number, y: (v: number) => number): string {
  let pen = false;
  return values
    .map((value, i) => {
      if (value === null) {
        pen = false;
        return "";
      }
      const point = `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
      return point;
    })
    .join("");
}

export function short(value: number): string {
  return Number(value.toPrecision(4)).toLocaleString("en-US", { maximumSignificantDigits: 4 });
}

export function Lines({ lines, label, unit = "", ends, grounded = false }: LinesProps) {
  const known = lines.flatMap(({ values }) => values.filter((value): value is number => value !== null));
  if (!known.length) return null;
  const least = Math.min(...known);
  const steps = marks(grounded ? Math.min(0, least) : least, Math.max(...known));
  const [low, high] = [steps[0] as number, steps.at(-1) as number];
  const longest = Math.max(...lines.map(({ values }) => values.length), 2);
  const x = (i: number) => LEFT + (i / (longest - 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  return (
    <svg class="hanami-lines" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {steps.map((step) => (
        <g key={step}>
          <line x1={LEFT} x2={WIDTH - RIGHT} y1={y(step)} y2={y(step)} />
          <text x={LEFT - 4} y={y(step) + 4} text-anchor="end">
            {short(step)}
          </text>
        </g>
      ))}
      <text x={LEFT} y={HEIGHT - 4}>
        {ends[0]}
      </text>
      <text x={WIDTH - RIGHT} y={HEIGHT - 4} text-anchor="end">
        {ends[1]}
      </text>
      {lines.map(({ name, values }, i) => (
        <path key={name} d={path(values, x, y)} style={{ stroke: category(i) }}>
          <title>{`${name}${unit && `, ${unit}`}`}</title>
        </path>
      ))}
    </svg>
  );
}
