// The sweep panel: rows in the order they come, progress and pictures, what failed, the summary's words.
import { expect, test } from "vitest";
import panel, { detail, frames, type Hexagon, type Network, summary } from "../src/sweep";
import { FakeModel, settle } from "./fake";

const NETWORK: Network = {
  id: "sweep 1",
  name: "wide, seed 3",
  template: "wide",
  state: "training",
  epoch: 1,
  epochs: 2,
  share: 0.75,
  accuracy: 91.25,
  synapses: null,
  seconds: 1.5,
  reason: "",
};
const ROW: Hexagon[] = [
  [1, 1, 1, "input"],
  [2, 1, 1, "inner"],
  [3, 1, 1, "output"],
];

async function shown(rows: Network[], counts: Record<string, number>) {
  const model = new FakeModel({
    title: "Sweep",
    notice: "",
    rows,
    counts,
    best: rows.length ? "best 91.3 %" : "",
    drawings: { wide: ROW },
  });
  const el = document.createElement("div");
  document.body.append(el);
  panel.render({ model, el });
  await settle();
  return { model, el };
}

test("a row shows picture, progress, accuracy, size and time", async () => {
  const done: Network = { ...NETWORK, id: "sweep 2", state: "finished", synapses: 172544, seconds: 65 };
  const { el } = await shown([NETWORK, done], { training: 1, finished: 1, waiting: 1 });
  const [first, second] = [...el.querySelectorAll("tbody tr")];
  expect(first?.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow")).toBe("75");
  expect(first?.textContent).toContain("epoch 2 of 2");
  expect(first?.querySelectorAll("svg polygon").length).toBe(3);
  expect([...(second?.querySelectorAll("td") ?? [])].map((cell) => cell.textContent?.trim())).toEqual([
    "✓ finished",
    "91.3 %",
    "172,544",
    "1 min 5 s",
  ]);
  expect(el.querySelector("[role=status]")?.textContent).toContain("1 of 3 finished, best 91.3 %");
  expect(el.textContent).toContain("1 more are not shown.");
});

test("what failed says why, and the panel follows its traits", async () => {
  const { model, el } = await shown([NETWORK], { training: 1 });
  model.set("rows", [{ ...NETWORK, state: "failed", template: "none", reason: "Its task was aborted." }]);
  model.set("counts", { failed: 1 });
  await settle();
  expect(el.querySelector("tbody tr")?.textContent).toContain("failed: Its task was aborted.");
  expect(el.querySelector("tbody svg")).toBeNull();
});

test("without networks it says what will be here", async () => {
  const { el } = await shown([], {});
  expect(el.textContent).toContain("The networks will be here.");
});

test("words and frames", () => {
  expect(summary({ finished: 3, stopped: 2 }, "best 90.0 %")).toEqual({
    pill: "3 of 5 finished, best 90.0 %, 2 stopped",
    state: "aborted",
  });
  expect(summary({ finished: 2 }, "").state).toBe("finished");
  expect(detail({ ...NETWORK, state: "stopped" })).toBe("stopped at epoch 2 of 2");
  expect(detail({ ...NETWORK, state: "stopped", epochs: 1, epoch: 0 })).toBe("stopped at 75 %");
  expect(detail({ ...NETWORK, state: "stopped", share: 0 })).toBe("stopped");
  const boxes = frames({ row: ROW, one: ROW.slice(0, 1) });
  const sizes = Object.values(boxes).map((box) => box.split(" ").slice(2).join(" "));
  expect(sizes[0]).toBe(sizes[1]);
});
