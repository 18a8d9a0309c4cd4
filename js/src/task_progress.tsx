// The panel of a cluster's tasks: how far each one is, how fast, how long still, and a way to stop it.
import { useRef, useState } from "preact/hooks";
import { Ask } from "./lib/ask";
import { Curve } from "./lib/curve";
import { count, percent, span } from "./lib/format";
import { useTrait } from "./lib/model";
import { Card, Icon, panel, type State, usePanel } from "./lib/panel";
import { step } from "./lib/walk";
import { Start } from "./start_task";
import "./task_progress.css";

export interface Task {
  uuid: string;
  cluster: string;
  name: string;
  state: "queued" | "active" | "finished" | "aborted";
  done: number;
  total: number;
  rate: number | null;
  rates: number[];
  seconds_left: number | null;
  seconds: number | null;
  before: number | null;
}

/** What is said beside or below a task's name. */
export function detail(task: Task): string {
  if (task.state === "queued") {
    return task.before ? `queued, ${count(task.before)} before it` : "queued";
  }
  if (task.state === "finished") {
    return task.seconds === null
      ? `${count(task.total)} cycles`
      : `${count(task.total)} cycles in ${span(task.seconds)}`;
  }
  const done = `${count(task.done)} of ${count(task.total)}`;
  return task.state === "aborted" ? `aborted after ${done}` : done;
}

/** One entry of the list: a task, or the epochs of a training. */
export interface Entry extends Task {
  /** What stays while the training goes on to its next epoch. */
  id: string;
  parts: Task[];
}

const EPOCH = /^(.*?)\s*epoch \d+ of (\d+)$/;

/** Join the epochs of one training into one entry; all other tasks are entries of their own. */
export function entries(tasks: Task[]): Entry[] {
  const found = new Map<string, Task[]>();
  for (const task of tasks) {
    const [, name, epochs] = EPOCH.exec(task.name) ?? [];
    const key = epochs === undefined ? task.uuid : `${task.cluster} ${name} ${epochs}`;
    found.set(key, [...(found.get(key) ?? []), task]);
  }
  return [...found].map(([id, parts]) => ({
    ...(parts.length > 1 ? joined(parts) : { ...(parts[0] as Task), parts }),
    id,
  }));
}

function joined(parts: Task[]): Omit<Entry, "id"> {
  const sum = (pick: (task: Task) => number) => parts.reduce((total, task) => total + pick(task), 0);
  const ended = parts.filter((task) => task.state === "finished").length;
  const first = parts.find((task) => task.state === "active") ?? (parts.at(-1) as Task);
  const live = parts.filter((task) => task.state === "active" || task.state === "queued");
  const aborted = parts.some((task) => task.state === "aborted");
  const state = live.length
    ? ended || first.state === "active"
      ? "active"
      : "queued"
    : aborted
      ? "aborted"
      : "finished";
  const [, name, epochs] = EPOCH.exec(first.name) ?? [];
  const total = Math.max(...parts.map((task) => task.total)) * parts.length;
  const done = sum((task) => task.done);
  const seconds = parts.every((task) => task.seconds !== null) ? sum((task) => task.seconds ?? 0) : null;
  return {
    ...first,
    name: `${name}, ${state === "active" ? `epoch ${ended + 1} of ${epochs}` : `${epochs} epochs`}`,
    state,
    done,
    total,
    seconds,
    before: Math.min(...live.map((task) => task.before ?? 0)) || null,
    seconds_left: first.rate ? (total - done) / first.rate : null,
    parts,
  };
}

/** How many tasks are in each state; null before the first answer of the server. */
export type Counts = Partial<Record<Task["state"], number>> | null;

/** The status of all tasks in one phrase, and the state whose colour it bears. */
export function summary(counts: Counts, notice = ""): { pill: string; state: State } {
  if (!counts) return { pill: notice ? "unknown" : "looking…", state: "idle" };
  const { active = 0, queued = 0, aborted = 0, finished = 0 } = counts;
  const waiting = `${count(queued)} queued`;
  if (active) return { pill: `${count(active)} running${queued ? `, ${waiting}` : ""}`, state: "active" };
  if (queued) return { pill: waiting, state: "queued" };
  const ended = `${count(finished)} finished`;
  if (aborted) return { pill: `${ended}, ${count(aborted)} aborted`, state: "aborted" };
  return finished ? { pill: ended, state: "finished" } : { pill: "no tasks", state: "idle" };
}

function Abort({ task }: { task: Entry }) {
  return (
    <Ask
      verb="Abort"
      doing="Aborting"
      what={task.name}
      question={`Abort ${task.name}? What it learned stays.`}
      keep="Go on"
      command="abort"
      values={{ tasks: task.parts.map((part) => part.uuid) }}
    />
  );
}

function Bar({ task }: { task: Task }) {
  const done = percent(task.total ? task.done / task.total : 0);
  return (
    <>
      <div
        class="hanami-bar"
        role="progressbar"
        aria-label={task.name}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={done}
      >
        <div style={{ width: `${done}%` }} />
      </div>
      <span class="hanami-percent">{done} %</span>
    </>
  );
}

function Body({ task, alone }: { task: Entry; alone: boolean }) {
  const live = task.state === "active";
  const bar = live || (alone && task.state !== "queued");
  return (
    <>
      <div class="hanami-task">
        <span class="hanami-name" title={task.uuid}>
          <Icon state={task.state} /> {task.name}
        </span>
        {bar ? <Bar task={task} /> : <span class="hanami-grow">{detail(task)}</span>}
        {!bar && task.state === "finished" && <span class="hanami-percent">100 %</span>}
        {(live || task.state === "queued") && <Abort key="abort" task={task} />}
      </div>
      {bar && (
        <div class="hanami-detail">
          {detail(task)}
          {task.rate !== null && ` · ${count(task.rate)}/s `}
          <Curve values={task.rates} label={`cycles a second, now ${count(task.rate ?? 0)}`} />
          {task.seconds_left !== null && ` · ${span(task.seconds_left)} left`}
        </div>
      )}
    </>
  );
}

const FITTING = 6; // rows that surely need no scrolling

function List({ rows }: { rows: Entry[] }) {
  return (
    // the keyboard scrolls a list of ended tasks, which has no button
    <ul class="hanami-tasks" aria-label="tasks" tabIndex={rows.length > FITTING ? 0 : undefined}>
      {rows.map((task) => (
        <li key={task.id}>
          <Body task={task} alone={rows.length === 1} />
        </li>
      ))}
    </ul>
  );
}

/** The same list with rows to be walked along and selected. */
function Grid({ rows }: { rows: Entry[] }) {
  const { model } = usePanel();
  const selected = useTrait<string>(model, "selected");
  const [active, setActive] = useState("");
  const body = useRef<HTMLTableSectionElement>(null);
  const chosen = rows.find(({ parts }) => parts.some(({ uuid }) => uuid === selected));
  const reachable = rows.find(({ id }) => id === active) ?? chosen ?? rows[0];
  const select = (uuid: string) => {
    model.set("selected", uuid);
    model.save_changes();
  };
  const press = (event: KeyboardEvent, at: number, uuid: string) => {
    if (event.target !== event.currentTarget) return; // a button inside the row has its own keys
    const to = step(event.key, at, FITTING, rows.length);
    if (to !== undefined) body.current?.querySelectorAll("tr")[to]?.focus();
    else if (event.key === "Enter" || event.key === " ") select(uuid);
    else if (event.key === "Escape") select("");
    else return;
    event.preventDefault();
  };
  return (
    <div class="hanami-tasks">
      {/* biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: its rows are walked and selected */}
      <table role="grid" aria-label="tasks">
        <tbody ref={body}>
          {rows.map((task, at) => (
            <tr
              key={task.id}
              tabIndex={task === reachable ? 0 : -1}
              aria-selected={task === chosen}
              onClick={(event) => (event.target as Element).closest("button, fieldset") ?? select(task.uuid)}
              onFocus={() => setActive(task.id)}
              onKeyDown={(event) => press(event, at, task.uuid)}
            >
              <td>
                <Body task={task} alone={rows.length === 1} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TaskProgress() {
  const { model } = usePanel();
  const title = useTrait<string>(model, "title");
  const tasks = useTrait<Task[]>(model, "tasks");
  const startable = useTrait<boolean>(model, "startable");
  const selectable = useTrait<boolean>(model, "selectable");
  const counts = useTrait<Counts>(model, "counts");
  const notice = useTrait<string>(model, "notice");
  const rows = entries(tasks);
  const more = Object.values(counts ?? {}).reduce((sum, some) => sum + some, 0) - tasks.length;
  return (
    <Card title={title || "Tasks"} {...summary(counts, notice)}>
      {rows.length > 0 && (selectable ? <Grid rows={rows} /> : <List rows={rows} />)}
      {more > 0 && <p class="hanami-quiet">{count(more)} more are not shown.</p>}
      {counts && !rows.length && (
        <p class="hanami-quiet">The tasks will be here. Start one below, or with create_train_task.</p>
      )}
      {startable && <Start />}
    </Card>
  );
}

export default panel(() => <TaskProgress />);
