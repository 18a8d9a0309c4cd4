// The form that starts a training or a request with the clusters, datasets and columns there are.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Notice, submitOnEnter, useCommand, usePanel, useUnique } from "./lib/panel";

interface Cluster {
  uuid: string;
  name: string;
  inputs: string[];
  outputs: string[];
}

interface Dataset {
  uuid: string;
  name: string;
}

interface Options {
  clusters: Cluster[];
  datasets: Dataset[];
  /** Of the first dataset; those of the others are asked for. */
  columns: string[];
}

/** The column for a hexagon: the one chosen, the one of its name, or the one at its place. */
export function columnFor(hexagon: string, place: number, columns: string[], chosen?: string): string {
  if (chosen && columns.includes(chosen)) return chosen;
  return columns.includes(hexagon) ? hexagon : (columns[place] ?? columns[0] ?? "");
}

export function Start() {
  const { gone } = usePanel();
  const { run, running, error } = useCommand();
  const [options, setOptions] = useState<Options | null>(null);
  const open = async () => setOptions((await run<Options>("options")) ?? null);
  const empty =
    options && (!options.clusters.length ? "cluster" : !options.datasets.length ? "dataset" : undefined);
  return (
    <div class="hanami-start">
      {!options && (
        <button type="button" disabled={gone || running !== ""} onClick={open}>
          Start a task
        </button>
      )}
      {empty && <p class="hanami-quiet">There is no {empty} yet. Create one first.</p>}
      {options && !empty && (
        <Form
          options={options}
          disabled={gone || running !== ""}
          close={() => setOptions(null)}
          start={(task) => run("start", task)}
          columnsOf={(dataset) => run<string[]>("columns", { dataset })}
        />
      )}
      {error && <Notice text={error} />}
    </div>
  );
}

interface FormProps {
  options: Options;
  disabled: boolean;
  close: () => void;
  start: (task: object) => Promise<unknown>;
  columnsOf: (dataset: string) => Promise<string[] | undefined>;
}

function Form({ options, disabled, close, start, columnsOf }: FormProps) {
  const [kind, setKind] = useState<"train" | "request">("train");
  const [clusterUuid, setCluster] = useState(options.clusters[0]?.uuid);
  const [dataset, setDataset] = useState({ uuid: options.datasets[0]?.uuid, columns: options.columns });
  const [columns, setColumns] = useState<Record<string, string>>({});
  const [epochs, setEpochs] = useState(1);
  const [name, setName] = useState("");
  const cluster = options.clusters.find((one) => one.uuid === clusterUuid) as Cluster;
  const train = kind === "train";
  const chosen = (hexagon: string, place: number) =>
    columnFor(hexagon, place, dataset.columns, columns[hexagon]);
  const links = (hexagons: string[], offset: number) =>
    Object.fromEntries(hexagons.map((hexagon, i) => [hexagon, chosen(hexagon, i + offset)]));
  const choose = async (uuid: string) => {
    setDataset({ uuid, columns: [] });
    const found = await columnsOf(uuid);
    if (found) setDataset((before) => (before.uuid === uuid ? { uuid, columns: found } : before));
  };
  const submit = (event: Event) => {
    event.preventDefault();
    start({
      kind,
      cluster: cluster.uuid,
      dataset: dataset.uuid,
      inputs: links(cluster.inputs, 0),
      outputs: train
        ? links(cluster.outputs, cluster.inputs.length)
        : Object.fromEntries(cluster.outputs.map((hexagon) => [hexagon, hexagon])),
      name: name.trim() || (train ? "training" : "request"),
      epochs: train ? epochs : 1,
    });
  };
  const hexagons = [...cluster.inputs, ...(train ? cluster.outputs : [])];
  return (
    <form class="hanami-task-form" onSubmit={submit} onKeyDown={submitOnEnter}>
      <Choice label="Do" value={kind} set={(value) => setKind(value as "train" | "request")}>
        <option value="train">train</option>
        <option value="request">request</option>
      </Choice>
      {options.clusters.length > 1 && (
        <Choice label="Cluster" value={cluster.uuid} set={setCluster}>
          {options.clusters.map(({ uuid, name: shown }) => (
            <option key={uuid} value={uuid}>
              {shown}
            </option>
          ))}
        </Choice>
      )}
      <Choice label="Dataset" value={dataset.uuid ?? ""} set={choose}>
        {options.datasets.map(({ uuid, name: shown }) => (
          <option key={uuid} value={uuid}>
            {shown}
          </option>
        ))}
      </Choice>
      {hexagons.map((hexagon, i) => (
        <Choice
          key={hexagon}
          label={`${hexagon} ${i < cluster.inputs.length ? "reads" : "learns"}`}
          value={chosen(hexagon, i)}
          set={(column) => setColumns({ ...columns, [hexagon]: column })}
        >
          {dataset.columns.map((column) => (
            <option key={column} value={column}>
              {column}
            </option>
          ))}
        </Choice>
      ))}
      {train && (
        <label>
          Epochs{" "}
          <input
            type="number"
            min="1"
            max="50"
            value={epochs}
            onInput={(event) =>
              setEpochs(Math.min(50, Math.max(1, Math.round(Number(event.currentTarget.value) || 1))))
            }
          />
        </label>
      )}
      <label>
        Name{" "}
        <input
          value={name}
          placeholder={train ? "training" : "request"}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <span class="hanami-task-buttons">
        <button type="submit" class="hanami-primary" disabled={disabled || !dataset.columns.length}>
          Start
        </button>
        <button type="button" onClick={close}>
          Close
        </button>
      </span>
    </form>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  set: (value: string) => void;
  children: ComponentChildren;
}

function Choice({ label, value, set, children }: ChoiceProps) {
  const id = useUnique();
  return (
    <span>
      <label for={id}>{label}</label>{" "}
      <select id={id} value={value} onChange={(event) => set(event.currentTarget.value)}>
        {children}
      </select>
    </span>
  );
}
