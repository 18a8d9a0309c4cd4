// The panel of a cluster's tasks: how far each one is, how fast, how long still, and a way to stop it.
import { useState } from "preact/hooks";
import { Curve } from "./lib/curve";
import { count, percent, span } from "./lib/format";
import { useTrait } from "./lib/model";
import { Card, Icon, Notice, panel, type State, useCommand, usePanel } from "./lib/panel";
import "./task_progress.css";

export interface Task {
  uuid: string;
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
    return task.seconds === null ? count(task.total) : `${count(task.total)} in ${span(task.seconds)}`;
  }
  const done = `${count(task.done)} of ${count(task.total)}`;
  return task.state === "aborted" ? `aborted after ${done}` : done;
}

/** The status of all tasks in one phrase, and the state whose colour it bears. */
export function summary(tasks: Task[]): { pill: string; state: State } {
  const counted = (state: Task["state"]) => tasks.filter((task) => task.state === state).length;
  const [active, queued, aborted] = [counted("active"), counted("queued"), counted("aborted")];
  if (!tasks.length) return { pill: "no tasks", state: "idle" };
  if (active)
    return { pill: queued ? `${active} running, ${queued} queued` : `${active} running`, state: "active" };
  if (queued) return { pill: `${queued} queued`, state: "queued" };
  if (aborted) return { pill: `${counted("finished")} finished, ${aborted} aborted`, state: "aborted" };
  return { pill: `${tasks.length} finished`, state: "finished" };
}

function Abort({ task }: { task: Task }) {
  const { gone } = usePanel();
  const { run, running, error } = useCommand();
  const [asking, setAsking] = useState(false);
  const abort = () => {
    setAsking(false);
    run("abort", { task: task.uuid });
  };
  return (
    <>
      {!asking && (
        <button
          type="button"
          disabled={gone || running !== ""}
          aria-label={`Abort ${task.name}`}
          onClick={() => setAsking(true)}
        >
          {running ? "Aborting" : "Abort"}
        </button>
      )}
      {asking && (
        <fieldset class="hanami-ask">
          <legend>Abort {task.name}? What it learned stays.</legend>
          <button type="button" disabled={gone} onClick={abort}>
            Abort
          </button>
          <button type="button" ref={(button) => button?.focus()} onClick={() => setAsking(false)}>
            Go on
          </button>
        </fieldset>
      )}
      {error && <Notice text={error} />}
    </>
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

function Row({ task, alone }: { task: Task; alone: boolean }) {
  const live = task.state === "active";
  const bar = live || (alone && task.state !== "queued");
  return (
    <li data-task={task.uuid} data-state={task.state}>
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
    </li>
  );
}

function TaskProgress() {
  const { model } = usePanel();
  const title = useTrait<string>(model, "title");
  const tasks = useTrait<Task[]>(model, "tasks");
  return (
    <Card title={title} {...summary(tasks)}>
      {tasks.length ? (
        <ul class="hanami-tasks">
          {tasks.map((task) => (
            <Row key={task.uuid} task={task} alone={tasks.length === 1} />
          ))}
        </ul>
      ) : (
        <p class="hanami-quiet">The tasks of this cluster will be here. Start one with create_train_task.</p>
      )}
    </Card>
  );
}

export default panel(() => <TaskProgress />);
