// The panel of a sweep: a row for each network, what runs first and then the best, with its template's picture.

import { useMemo } from "preact/hooks";
import { count, percent, span } from "./lib/format";
import { corners, lifted, RADIUS } from "./lib/hexagons";
import { useTrait } from "./lib/model";
import { Card, Icon, panel, type State, usePanel } from "./lib/panel";
import type { Kind, Position } from "./template/parse";
import "./sweep.css";

export interface Network {
  id: string;
  name: string;
  template: string;
  state: "waiting" | "training" | "finished" | "failed" | "stopped";
  epoch: number;
  epochs: number;
  share: number;
  accuracy: number | null;
  synapses: number | null;
  seconds: number | null;
  reason: string;
}

type Counts = Partial<Record<Network["state"], number>>;
/** A hexagon's x, y and z, and what it is. */
export type Hexagon = [...Position, Kind | "inner"];

const ICONS: Record<Network["state"], State> = {
  waiting: "queued",
  training: "active",
  finished: "finished",
  failed: "failed",
  stopped: "aborted",
};

/** The status of all networks in one phrase, and the state whose colour it bears. */
export function summary(counts: Counts, best: string): { pill: string; state: State } {
  const { waiting = 0, training = 0, finished = 0, failed = 0, stopped = 0 } = counts;
  const total = waiting + training + finished + failed + stopped;
  if (!total) return { pill: "no networks yet", state: "idle" };
  const words = [`${count(finished)} of ${count(total)} finished`, best];
  if (failed) words.push(`${count(failed)} failed`);
  if (stopped) words.push(`${count(stopped)} stopped`);
  const state = waiting + training ? "active" : stopped ? "aborted" : failed ? "failed" : "finished";
  return { pill: words.filter(Boolean).join(", "), state };
}

/** What a network is at, in words. */
export function detail(network: Network): string {
  const { state, share, epoch, epochs } = network;
  const now = epochs > 1 ? `epoch ${Math.min(epoch + 1, epochs)} of ${epochs}` : `${percent(share)} %`;
  if (state === "training") return epochs > 1 ? now : state;
  return state === "stopped" && share ? `stopped at ${now}` : state;
}

/** The frames around templates by name, all of one size, so that their hexagons are. */
export function frames(drawings: Record<string, Hexagon[]>): Record<string, string> {
  const edges = Object.entries(drawings).map(([name, hexagons]) => {
    const points = hexagons.map(([x, y, z]) => lifted([x, y, z]));
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    return { name, left, width: right - left, middle: (top + bottom) / 2, height: bottom - top };
  });
  const margin = 2 * RADIUS + 4;
  const width = Math.max(...edges.map((edge) => edge.width)) + margin;
  const height = Math.max(...edges.map((edge) => edge.height)) + margin;
  const box = (left: number, middle: number) => [left - margin / 2, middle - height / 2, width, height];
  return Object.fromEntries(
    edges.map(({ name, left, middle }) => [name, box(left, middle).map(Math.round).join(" ")]),
  );
}

function Mini({ hexagons, frame }: { hexagons: Hexagon[]; frame: string | undefined }) {
  return (
    <svg class="hanami-mini" viewBox={frame} preserveAspectRatio="xMinYMid" aria-hidden="true">
      {hexagons.map(([x, y, z, kind]) => {
        const [left, top] = lifted([x, y, z]);
        return (
          <g
            key={`${x},${y},${z}`}
            class={`hanami-hexagon hanami-${kind}`}
            transform={`translate(${left.toFixed(1)} ${top.toFixed(1)})`}
          >
            <polygon points={corners} />
          </g>
        );
      })}
    </svg>
  );
}

interface RowProps {
  network: Network;
  hexagons: Hexagon[] | undefined;
  frame: string | undefined;
}

function Row({ network, hexagons, frame }: RowProps) {
  const done = percent(network.share);
  const says = (
    <>
      <Icon state={ICONS[network.state]} /> {detail(network)}
    </>
  );
  return (
    <tr data-state={network.state}>
      <th scope="row">
        <div>
          {hexagons && <Mini hexagons={hexagons} frame={frame} />}
          <span>{network.name}</span>
        </div>
      </th>
      {network.state === "failed" ? (
        <td class="hanami-reason" colSpan={4}>
          {says}: {network.reason}
        </td>
      ) : (
        <>
          <td class="hanami-state">
            {says}
            {network.state === "training" && (
              <div
                class="hanami-bar"
                role="progressbar"
                aria-label={network.name}
                aria-valuemin={0}
                aria-valuemax={100}
                aria-valuenow={done}
              >
                <div style={{ width: `${done}%` }} />
              </div>
            )}
          </td>
          <td>{network.accuracy !== null && `${network.accuracy.toFixed(1)} %`}</td>
          <td>{network.synapses !== null && count(network.synapses)}</td>
          <td>{network.seconds !== null && span(network.seconds)}</td>
        </>
      )}
    </tr>
  );
}

const FITTING = 8; // rows that surely need no scrolling

function Sweep() {
  const { model } = usePanel();
  const title = useTrait<string>(model, "title");
  const rows = useTrait<Network[]>(model, "rows");
  const counts = useTrait<Counts>(model, "counts");
  const best = useTrait<string>(model, "best");
  const drawings = useTrait<Record<string, Hexagon[]>>(model, "drawings");
  const boxes = useMemo(() => frames(drawings), [drawings]);
  const more = Object.values(counts).reduce((sum, some) => sum + some, 0) - rows.length;
  return (
    <Card title={title} {...summary(counts, best)}>
      {rows.length > 0 ? (
        // the keyboard scrolls a long table, which has no button
        <section
          class="hanami-networks"
          aria-label="networks"
          tabIndex={rows.length > FITTING ? 0 : undefined}
        >
          <table class="hanami-sweep">
            <thead>
              <tr>
                <th scope="col">network</th>
                <th scope="col">state</th>
                <th scope="col">right</th>
                <th scope="col">synapses</th>
                <th scope="col">time</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((network) => (
                <Row
                  key={network.id}
                  network={network}
                  hexagons={drawings[network.template]}
                  frame={boxes[network.template]}
                />
              ))}
            </tbody>
          </table>
        </section>
      ) : (
        <p class="hanami-quiet">
          The networks will be here. Give the panel to a sweep: session.sweep(…, progress=panel).
        </p>
      )}
      {more > 0 && <p class="hanami-quiet">{count(more)} more are not shown.</p>}
    </Card>
  );
}

export default panel(() => <Sweep />);
