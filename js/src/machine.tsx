// The server's machine: power, temperature and clock over time, its processors and threads.
import { count } from "./lib/format";
import { Lines, short } from "./lib/lines";
import { useTrait } from "./lib/model";
import { Card, panel, usePanel } from "./lib/panel";
import "./machine.css";

export type Span = "seconds" | "minutes" | "hours" | "days";

interface Curve {
  name: string;
  unit: string;
  values: number[];
}

interface Processor {
  package: number;
  core: number;
  threads: number[];
  now: number;
  most: number;
}

const SPANS: Record<Span, string> = { seconds: "minute", minutes: "hour", hours: "day", days: "year" };

/** What a curve shows, in words. */
export function told({ name, unit, values }: Curve, span: Span): string {
  const last = values.at(-1) ?? 0;
  const most = Math.max(...values);
  return `${name} over the last ${SPANS[span]}: now ${short(last)} ${unit}, at most ${short(most)} ${unit}`;
}

function Curves({ curves, span }: { curves: Curve[]; span: Span }) {
  return (
    <div class="hanami-curves">
      {curves.map((curve) => (
        <figure key={curve.name}>
          <figcaption>
            {curve.name}{" "}
            {curve.values.length > 0 ? (
              <b>
                {short(curve.values.at(-1) ?? 0)} {curve.unit}
              </b>
            ) : (
              <span class="hanami-quiet">not measured on this machine</span>
            )}
          </figcaption>
          {curve.values.length > 0 && (
            <Lines
              lines={[curve]}
              unit={curve.unit}
              label={told(curve, span)}
              ends={[`a ${SPANS[span]} ago`, "now"]}
              grounded
            />
          )}
        </figure>
      ))}
    </div>
  );
}

function Processors({ processors }: { processors: Processor[] }) {
  const clocked = processors.some(({ now }) => now > 0);
  return (
    <details>
      <summary>Processors</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it */}
      <div class="hanami-scroll hanami-tall" tabIndex={0}>
        <table class="hanami-table">
          <thead>
            <tr>
              <th scope="col">Package</th>
              <th scope="col">Core</th>
              <th scope="col">Threads</th>
              {clocked && <th scope="col">Clock (MHz)</th>}
              {clocked && <th scope="col">At most</th>}
            </tr>
          </thead>
          <tbody>
            {processors.map((one) => (
              <tr key={`${one.package} ${one.core}`}>
                <td>{one.package}</td>
                <td>{one.core}</td>
                <td>{one.threads.join(", ")}</td>
                {clocked && <td>{count(one.now)}</td>}
                {clocked && <td>{one.most > 0 && count(one.most)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function Threads({ threads }: { threads: [string, string][] }) {
  return (
    <details>
      <summary>Threads of the server</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it */}
      <div class="hanami-scroll hanami-tall" tabIndex={0}>
        <table class="hanami-table">
          <thead>
            <tr>
              <th scope="col">Thread</th>
              <th scope="col">May run on</th>
            </tr>
          </thead>
          <tbody>
            {threads.map(([name, cores]) => (
              <tr key={name}>
                <td>{name}</td>
                <td>{cores}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function Machine() {
  const { model, gone } = usePanel();
  const title = useTrait<string>(model, "title");
  const span = useTrait<Span>(model, "span");
  const curves = useTrait<Curve[]>(model, "curves");
  const processors = useTrait<Processor[]>(model, "processors");
  const threads = useTrait<[string, string][]>(model, "threads");
  const choose = (next: Span) => {
    model.set("span", next);
    model.save_changes();
  };
  const cores = processors.length;
  const pill = cores ? `${count(cores)} ${cores === 1 ? "core" : "cores"}` : "looking…";
  return (
    <Card title={title} pill={pill} state="idle">
      <fieldset class="hanami-spans">
        <legend>The last</legend>
        {(Object.keys(SPANS) as Span[]).map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={one === span}
            disabled={gone}
            onClick={() => choose(one)}
          >
            {SPANS[one]}
          </button>
        ))}
      </fieldset>
      <Curves curves={curves} span={span} />
      {cores > 0 && <Processors processors={processors} />}
      {threads.length > 0 && <Threads threads={threads} />}
    </Card>
  );
}

export default panel(() => <Machine />);
