// The accuracy after each epoch, one line for each run.
import { share } from "./format";
import { category } from "./palette";

export interface Run {
  name: string;
  epochs: { right: number; seconds: number | null }[];
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [240, 130, 42, 20, 8];

/** Whole steps between the lowest and the highest value: 0.01, 0.02, 0.05, 0.1, 0.2 or 0.5 apart. */
export function ticks(low: number, high: number): number[] {
  const size =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((value) => (high - low) / value <= 4) ?? 1;
  const first = Math.floor(low / size + 1e-9);
  const last = Math.max(Math.ceil(high / size - 1e-9), first + 1);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * size).toFixed(4)));
}

interface EpochsProps {
  runs: Run[];
  selected: string;
  disabled: boolean;
  select: (name: string) => void;
}

export function Epochs({ runs, selected, disabled, select }: EpochsProps) {
  const values = runs.flatMap((run) => run.epochs.map((epoch) => epoch.right));
  const marks = ticks(Math.min(...values), Math.max(...values));
  const [low, high] = [marks[0] as number, marks.at(-1) as number];
  const longest = Math.max(...runs.map((run) => run.epochs.length));
  const x = (epoch: number) => LEFT + ((epoch + 0.5) / longest) * (WIDTH - LEFT);
  const y = (right: number) => TOP + ((high - right) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const every = Math.ceil(longest / 8);
  return (
    <div class="hanami-epochs">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`right answers over ${longest} epochs`}>
        {marks.map((mark) => (
          <g key={mark} class="hanami-mark">
            <line x1={LEFT} x2={WIDTH} y1={y(mark)} y2={y(mark)} />
            <text x={LEFT - 4} y={y(mark) + 4} text-anchor="end">
              {Number((mark * 100).toFixed(1))} %
            </text>
          </g>
        ))}
        {Array.from({ length: longest }, (_, i) => i)
          .filter((i) => i % every === 0)
          .map((i) => (
            <text key={i} x={x(i)} y={HEIGHT - 4} text-anchor="middle">
              {i + 1}
            </text>
          ))}
        {runs.map((run, i) => (
          <g key={run.name} style={{ stroke: category(i), fill: category(i) }}>
            <polyline
              points={run.epochs.map((epoch, j) => `${x(j)},${y(epoch.right)}`).join(" ")}
              fill="none"
            />
            {run.epochs.map((epoch, j) => (
              <circle key={j} cx={x(j)} cy={y(epoch.right)} r="3">
                <title>{`${run.name}, epoch ${j + 1}: ${share(epoch.right)}`}</title>
              </circle>
            ))}
          </g>
        ))}
      </svg>
      <ul>
        {runs.map((run, i) => (
          <li key={run.name}>
            <button
              type="button"
              aria-pressed={run.name === selected}
              disabled={disabled}
              onClick={() => select(run.name)}
            >
              <span class="hanami-key" style={{ background: category(i) }} /> {run.name}{" "}
              {share(run.epochs.at(-1)?.right ?? 0)}
              {trained(run)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The seconds a run has trained, where they are known. */
function trained(run: Run): string {
  const seconds = run.epochs.reduce((sum, epoch) => sum + (epoch.seconds ?? Number.NaN), 0);
  return Number.isNaN(seconds) ? "" : ` · ${seconds.toFixed(1)} s`;
}
