// The task panel: what it says of each state, aborting, two views, a kernel that is gone.
import { expect, test } from "vitest";
import panel, { type Counts, detail, entries, summary, type Task } from "../src/task_progress";
import { FakeModel, settle } from "./fake";

const TASK: Task = {
  uuid: "0123",
  cluster: "c",
  name: "train",
  state: "active",
  done: 42600,
  total: 60000,
  rate: 98000,
  rates: [90000, 98000],
  seconds_left: 0.18,
  seconds: null,
  before: null,
};

async function shown(tasks: Task[], notice = "", counts: Counts = { active: tasks.length }) {
  const model = new FakeModel({ title: "Tasks of digits", tasks, notice, counts });
  const el = document.createElement("div");
  document.body.append(el);
  const controller = new AbortController();
  const view = { model, el, signal: controller.signal };
  panel.render(view);
  await settle();
  return { model, el, controller };
}

test("rows are selected by a click and walked by keys, and a training is selected by any of its epochs", async () => {
  const model = new FakeModel({
    title: "Tasks",
    selectable: true,
    selected: "",
    counts: { active: 1, queued: 1, finished: 1 },
    tasks: [
      { ...TASK, uuid: "e2", name: "pass epoch 2 of 2" },
      { ...TASK, uuid: "r", name: "request", state: "queued" },
      { ...TASK, uuid: "e1", name: "pass epoch 1 of 2", state: "finished" },
    ],
  });
  const el = document.createElement("div");
  document.body.append(el);
  panel.render({ model, el });
  await settle();
  const rows = [...el.querySelectorAll<HTMLElement>("[role=grid] tr")];
  const chosen = () => rows.map((row) => row.getAttribute("aria-selected"));
  expect(chosen()).toEqual(["false", "false"]);
  const press = async (key: string) => {
    document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    await settle();
  };
  rows[0]?.focus();
  await press("ArrowDown");
  await press("Enter");
  expect([model.get("selected"), chosen()]).toEqual(["r", ["false", "true"]]);
  expect(rows.map((row) => row.tabIndex)).toEqual([-1, 0]);
  await press("Home");
  await press(" ");
  expect([model.get("selected"), chosen()]).toEqual(["e2", ["true", "false"]]);
  model.set("selected", "e1");
  await settle();
  expect(chosen()).toEqual(["true", "false"]);
  await press("Escape");
  expect(model.get("selected")).toBe("");
  button(el, "Abort").click(); // has a meaning of its own
  expect(model.get("selected")).toBe("");
  rows[1]?.click();
  expect(model.get("selected")).toBe("r");
});

function button(el: HTMLElement, name: string): HTMLButtonElement {
  const found = [...el.querySelectorAll("button")].find((item) => item.textContent === name);
  if (!found) throw new Error(`There is no button '${name}' in: ${el.textContent}`);
  return found;
}

test("every state says in words how far it is", () => {
  expect(detail({ ...TASK, state: "queued", before: 1 })).toBe("queued, 1 before it");
  expect(detail({ ...TASK, state: "finished", seconds: 0.6 })).toBe("60,000 cycles in 0.6 s");
  expect(detail({ ...TASK, state: "aborted" })).toBe("aborted after 42,600 of 60,000");
  expect(summary({})).toEqual({ pill: "no tasks", state: "idle" });
  expect(summary({ active: 1, queued: 1200 }).pill).toBe("1 running, 1,200 queued");
  expect(summary({ finished: 1 }).pill).toBe("1 finished");
  expect(summary({ finished: 1, aborted: 2 })).toEqual({ pill: "1 finished, 2 aborted", state: "aborted" });
});

test("before the first answer the panel looks, and does not say that there are no tasks", async () => {
  const { model, el } = await shown([], "", null);
  expect(el.querySelector("[role=status]")?.textContent).toBe("○ looking…");
  expect(el.textContent).not.toContain("will be here");
  model.set("notice", "The server cannot be reached.");
  await settle();
  expect(el.querySelector("[role=status]")?.textContent).toBe("○ unknown");
  model.set("counts", {});
  await settle();
  expect(el.querySelector("[role=status]")?.textContent).toBe("○ no tasks");
  expect(el.textContent).toContain("will be here");
});

test("tasks without a row are counted", async () => {
  const { el } = await shown([TASK], "", { active: 1, queued: 300 });
  expect(el.querySelector("[role=status]")?.textContent).toContain("1 running, 300 queued");
  expect(el.textContent).toContain("300 more are not shown.");
});

test("the epochs of one training are one entry, other tasks stay apart", () => {
  const epoch = (number: number, more: Partial<Task>) => ({
    ...TASK,
    uuid: `e${number}`,
    name: `pass epoch ${number} of 3`,
    ...more,
  });
  const tasks = [
    epoch(2, { done: 30000 }),
    epoch(3, { state: "queued", done: 0 }),
    { ...TASK, uuid: "r", name: "request", state: "queued" as const },
    epoch(1, { state: "finished", done: 60000, seconds: 0.6 }),
  ];
  const [training, request] = entries(tasks);
  expect(training).toMatchObject({ name: "pass, epoch 2 of 3", state: "active", done: 90000, total: 180000 });
  expect(training?.parts.map((part) => part.uuid)).toEqual(["e2", "e3", "e1"]);
  expect(training?.seconds_left).toBeCloseTo(90000 / 98000);
  expect(request?.name).toBe("request");
  const ended = entries(
    [1, 2, 3].map((number) => epoch(number, { state: "finished", done: 60000, seconds: 0.5 })),
  );
  expect(ended).toHaveLength(1);
  expect(detail(ended[0] as Task)).toBe("180,000 cycles in 1.5 s");
  expect(ended[0]?.name).toBe("pass, 3 epochs");
});

test("a task is started from the form with what the server offers", async () => {
  const model = new FakeModel({ title: "Tasks", tasks: [], notice: "", startable: true });
  const el = document.createElement("div");
  document.body.append(el);
  panel.render({ model, el });
  await settle();
  button(el, "Start a task").click();
  await settle();
  model.reply("options", {
    ok: true,
    result: {
      clusters: [{ uuid: "c", name: "digits", inputs: ["picture"], outputs: ["label"] }],
      datasets: [
        { uuid: "e", name: "test" },
        { uuid: "d", name: "train" },
      ],
      columns: ["x", "y"],
    },
  });
  await settle();
  const choice = [...el.querySelectorAll("select")].find(({ value }) => value === "e") as HTMLSelectElement;
  choice.value = "d";
  choice.dispatchEvent(new Event("change"));
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "columns", dataset: "d" });
  expect(button(el, "Start").disabled).toBe(true);
  model.reply("columns", { ok: true, result: ["picture", "label"] });
  await settle();
  el.querySelector("form")?.dispatchEvent(new Event("submit", { cancelable: true, bubbles: true }));
  await settle();
  expect(model.sent.at(-1)).toMatchObject({
    command: "start",
    kind: "train",
    cluster: "c",
    dataset: "d",
    inputs: { picture: "picture" },
    outputs: { label: "label" },
    epochs: 1,
    name: "training",
  });
  model.reply("start", { ok: false, error: "The column is missing." });
  await settle();
  expect(el.textContent).toContain("The column is missing.");
});

test("the bar has a value, and follows the trait in both of two views", async () => {
  const { model, el } = await shown([TASK]);
  const second = document.createElement("div");
  panel.render({ model, el: second });
  await settle();
  expect(el.textContent).toContain("42,600 of 60,000 · 98,000/s");
  expect(el.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow")).toBe("71");
  model.set("tasks", [{ ...TASK, done: 60000 }]);
  await settle();
  for (const view of [el, second]) {
    expect(view.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow")).toBe("100");
  }
});

test("a change between the first drawing and the listening is not lost", async () => {
  const model = new FakeModel({ title: "", tasks: [], notice: "" });
  const el = document.createElement("div");
  panel.render({ model, el });
  model.set("tasks", [TASK]);
  await settle();
  expect(el.textContent).toContain("42,600 of 60,000");
});

test("aborting asks first, and shows why it failed", async () => {
  const { model, el } = await shown([TASK]);
  button(el, "Abort").click();
  await settle();
  expect(model.sent.map((message) => message.command)).toEqual(["refresh"]);
  button(el, "Abort").click();
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "abort", tasks: ["0123"] });
  expect(button(el, "Aborting").disabled).toBe(true);
  model.reply("abort", { ok: false, error: "Task '0123' has ended. There is nothing to abort." });
  await settle();
  expect(el.textContent).toContain("has ended");
  expect(button(el, "Abort").disabled).toBe(false);
});

test("the question stays while the training goes on to its next epoch", async () => {
  const first = { ...TASK, uuid: "e1", name: "pass epoch 1 of 2" };
  const second = { ...TASK, uuid: "e2", name: "pass epoch 2 of 2" };
  const { model, el } = await shown([first, { ...second, state: "queued" }]);
  button(el, "Abort").click();
  await settle();
  model.set("tasks", [second, { ...first, state: "finished" }]);
  await settle();
  expect(el.querySelector("legend")?.textContent).toContain("Abort pass, epoch 2 of 2?");
  button(el, "Abort").click();
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "abort", tasks: ["e2", "e1"] });
});

test("a notice is shown in words", async () => {
  const { el } = await shown([TASK], "The backend does not answer.");
  expect(el.querySelector("[aria-live]")?.textContent).toContain("The backend does not answer.");
});

test("without its kernel the panel says so and disables the buttons", async () => {
  const { el } = await shown([TASK]);
  el.classList.add("jupyter-widgets-disconnected");
  await settle();
  expect(el.textContent).toContain("The kernel is gone. Run the cell again.");
  expect(button(el, "Abort").disabled).toBe(true);
});

test("a kernel that restarts is gone, and a dropped view no longer listens to it", async () => {
  const slots = new Set<(sender: unknown, state: string) => void>();
  const signal = {
    connect: (slot: (sender: unknown, state: string) => void) => slots.add(slot),
    disconnect: (slot: (sender: unknown, state: string) => void) => slots.delete(slot),
  };
  const model = Object.assign(new FakeModel({ title: "Tasks", tasks: [TASK], notice: "" }), {
    widget_manager: { kernel: { statusChanged: signal } },
  });
  const el = document.createElement("div");
  const clear = panel.render({ model, el });
  await settle();
  for (const slot of slots) slot(null, "busy");
  await settle();
  expect(el.textContent).not.toContain("gone");
  for (const slot of slots) slot(null, "restarting");
  await settle();
  expect(el.textContent).toContain("The kernel is gone. Run the cell again.");
  clear();
  await settle();
  expect(slots.size).toBe(0);
});

test("a dropped view leaves nothing behind", async () => {
  const { model, el, controller } = await shown([TASK]);
  expect(model.listening).toBeGreaterThan(0);
  controller.abort();
  await settle();
  expect([el.childElementCount, model.listening]).toEqual([0, 0]);
});
