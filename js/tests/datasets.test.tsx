// The panel of datasets: pairs of files, names, pieces and checksums, progress, preview, deleting.
import { expect, test } from "vitest";
import panel from "../src/datasets";
import { crc32, PIECE, sendPieces } from "../src/datasets/pieces";
import { side, told } from "../src/datasets/preview";
import { bytes, joined, missing, type Source } from "../src/datasets/upload";
import type { Page } from "../src/lib/table";
import { FakeModel, settle } from "./fake";

const source = (name: string, kind: Source["kind"], suggested: string): Source => ({
  name,
  kind,
  suggested,
  size: 1000,
  path: `/data/${name}`,
});
const files = (list: ReturnType<typeof joined>) => list.map((draft) => draft.sources.map(({ name }) => name));

test("images and labels of the same name belong together, whatever else is dropped", () => {
  const list = joined(
    [],
    [
      source("t10k-labels", "labels", "t10k"),
      source("train-images", "images", "train"),
      source("flowers.csv", "csv", "flowers"),
      source("t10k-images", "images", "t10k"),
      source("train-labels", "labels", "train"),
    ],
  );
  expect(files(list)).toEqual([
    ["train-images", "train-labels"],
    ["flowers.csv"],
    ["t10k-images", "t10k-labels"],
  ]);
  expect(list.map(missing)).toEqual(["", "", ""]);
});

test("the only images and labels belong together, added one after the other", () => {
  const first = joined([], [source("digits.idx", "labels", "digits")]);
  expect(first.map(missing)).toEqual(["'digits.idx' holds labels alone. Add the IDX file of images."]);
  expect(files(joined(first, [source("pictures.idx", "images", "pictures")]))).toEqual([
    ["pictures.idx", "digits.idx"],
  ]);
});

test("names are checked as the server does", () => {
  const named = (name: string) => missing({ id: 1, name, sources: [source("a.csv", "csv", "a")], error: "" });
  expect(named("iris 2024")).toBe("");
  expect(named("abc")).toContain("4 to 254");
  expect(named("2024 iris")).toContain("begins with a letter");
});

test("sizes have the unit that reads best", () => {
  expect([12, 9912, 9_912_422, 1_500_000_000].map(bytes)).toEqual([
    "12 bytes",
    "9.91 kB",
    "9.91 MB",
    "1.5 GB",
  ]);
});

test("the checksum is that of zlib", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array())).toBe(0);
});

test("a file goes in pieces, at most three under way, and stops at the first refused one", async () => {
  const content = new Uint8Array(PIECE * 5 + 7).map((_, i) => i % 251);
  const sent: [number, number][] = [];
  const acknowledge: (() => void)[] = [];
  const done = sendPieces(new Blob([content]), (offset, checksum, piece) => {
    expect(checksum).toBe(crc32(piece));
    sent.push([offset, piece.length]);
    return new Promise<void>((resolve) => acknowledge.push(resolve));
  });
  await settle();
  expect(sent).toHaveLength(3);
  for (let i = 0; i < 6; i++) {
    await settle();
    acknowledge[i]?.();
  }
  await done;
  expect(sent.map(([offset]) => offset)).toEqual([0, 1, 2, 3, 4, 5].map((i) => i * PIECE));
  expect(sent.at(-1)?.[1]).toBe(7);
  let count = 0;
  const refused = sendPieces(new Blob([content]), async () => {
    count += 1;
    if (count === 1) throw new Error("This upload was cancelled.");
  });
  await expect(refused).rejects.toThrow("cancelled");
  expect(count).toBeLessThan(5);
});

test("columns are told in words, and square ones are pictures", () => {
  expect([784, 16, 10, 9, 20].map(side)).toEqual([28, 4, 0, 0, 0]);
  const figures = { rows: 10, classes: false, counts: [1], low: 0, high: 255, mean: 33.31842 };
  expect(told({ name: "picture", width: 784 }, figures)).toBe("784 values, 0 to 255, mean 33.32");
  expect(told({ name: "width", width: 1 }, figures)).toBe("0 to 255, mean 33.32");
  expect(told({ name: "label", width: 10 }, { rows: 10, classes: true, counts: [1, 2, 3] })).toBe(
    "3 classes",
  );
  const none = { rows: 10, classes: false, counts: [], low: null, high: null, mean: null };
  expect(told({ name: "width", width: 1 }, none)).toBe("number, none known");
});

const PAGE: Page = {
  columns: [{ name: "name", label: "Name", kind: "text" }],
  offset: 0,
  total: 1,
  keys: ["u1"],
  rows: [{ name: "digits" }],
  selected: null,
};

async function shown(traits: object = {}) {
  const model = new FakeModel({
    title: "Datasets",
    listing: { version: 1, total: 1 },
    selected: "",
    uploads: [],
    notice: "",
    ...traits,
  });
  const el = document.createElement("div");
  document.body.append(el);
  panel.render({ model, el });
  await settle();
  model.reply("rows", { ok: true, result: PAGE });
  await settle();
  return { model, el };
}

const click = async (el: HTMLElement, name: string) => {
  const found = [...el.querySelectorAll("button")].find(
    (item) => item.textContent === name || item.getAttribute("aria-label") === name,
  );
  if (!found) throw new Error(`There is no button '${name}' in: ${el.textContent}`);
  found.click();
  await settle();
};

async function choose(el: HTMLElement, ...chosen: File[]) {
  const input = el.querySelector<HTMLInputElement>('input[type="file"]') as HTMLInputElement;
  Object.defineProperty(input, "files", { value: chosen, configurable: true });
  input.dispatchEvent(new Event("change", { bubbles: true }));
  await settle();
}

test("a chosen file is looked at, named, sent in pieces and finished", async () => {
  const { model, el } = await shown();
  await choose(el, new File(["width,height\n1,2\n"], "flowers.csv"));
  expect(model.sent.at(-1)).toMatchObject({ command: "look", name: "flowers.csv" });
  expect(model.secrets.at(-1)).toBe("width,height\n1,2\n");
  model.reply("look", {
    ok: true,
    result: { name: "flowers.csv", kind: "csv", suggested: "flowers", size: 0 },
  });
  await settle();
  expect(el.textContent).toContain("flowers.csv · 17 bytes");
  await click(el, "Upload");
  expect(model.sent.at(-1)).toMatchObject({
    command: "begin",
    name: "flowers",
    files: [{ name: "flowers.csv", size: 17 }],
  });
  model.reply("begin", { ok: true, result: "up1" });
  await settle();
  const piece = { command: "piece", upload: "up1", file: 0, offset: 0 };
  expect(model.sent.at(-1)).toMatchObject(piece);
  model.reply("piece", { ok: true, result: null });
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "finish", upload: "up1" });
  expect(el.textContent).not.toContain("flowers.csv");
});

test("a file that is none of ours is refused where it was chosen", async () => {
  const { model, el } = await shown();
  await choose(el, new File(["\x89PNG"], "cat.png"));
  model.reply("look", { ok: false, error: "'cat.png' is a PNG picture. Choose a CSV file." });
  await settle();
  expect(el.textContent).toContain("'cat.png' is a PNG picture.");
});

test("a refused upload comes back with the reason, and is taken back from the kernel", async () => {
  const { model, el } = await shown();
  await choose(el, new File(["a\n1\n"], "a.csv"));
  model.reply("look", { ok: true, result: { name: "a.csv", kind: "csv", suggested: "a data", size: 0 } });
  await settle();
  await click(el, "Upload");
  model.reply("begin", { ok: true, result: "up1" });
  await settle();
  model.reply("piece", { ok: false, error: "A piece of 'a.csv' arrived damaged." });
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "cancel", upload: "up1" });
  expect(el.textContent).toContain("arrived damaged");
  expect(el.querySelector<HTMLInputElement>(".hanami-uploads input")?.value).toBe("a data");
});

test("uploads show how far they are and can be cancelled; failed ones are put away", async () => {
  const { model, el } = await shown({
    uploads: [
      { id: "one", name: "digits", state: "sending", share: 0.714, error: "" },
      { id: "two", name: "broken", state: "failed", share: 0.5, error: "Row 3 holds no number." },
    ],
  });
  expect(el.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow")).toBe("71");
  expect(el.textContent).toContain("71 % · to the server");
  expect(el.textContent).toContain("Row 3 holds no number.");
  await click(el, "Cancel upload of digits");
  expect(model.sent.at(-1)).toMatchObject({ command: "cancel", upload: "one" });
  await click(el, "Dismiss upload of broken");
  expect(model.sent.at(-1)).toMatchObject({ command: "cancel", upload: "two" });
});

test("the selected dataset is looked into: columns, figures, pictures and rows", async () => {
  const { model, el } = await shown({ selected: "u1" });
  const columns = [
    { name: "picture", width: 784 },
    { name: "label", width: 10 },
  ];
  model.reply("describe", { ok: true, result: { name: "digits", rows: 60000, columns } });
  await settle();
  const asked = model.sent.filter(({ command }) => command === "statistics");
  expect(asked.map(({ column, width }) => [column, width])).toEqual([
    ["picture", 784],
    ["label", 10],
  ]);
  expect(model.sent.find(({ command }) => command === "preview")).toMatchObject({
    offset: 0,
    limit: 5,
    widths: { picture: 28, label: 0 },
  });
  model.reply("preview", { ok: true, result: [[{ image: "data:image/png;base64,AA" }, { class: 7 }]] });
  const figures = { rows: 127, classes: false, counts: [5, 1, 2], low: 0, high: 255, mean: 33 };
  model.emit("msg:custom", { id: asked[0]?.id, ok: true, result: figures });
  await settle();
  expect(el.querySelector("td img")?.getAttribute("alt")).toBe("picture of row 0");
  expect(el.textContent).toContain("class 7");
  expect(el.querySelectorAll(".hanami-histogram rect")).toHaveLength(3);
  expect(el.textContent).toContain("from 127 rows");
  await click(el, "Next rows");
  expect(model.sent.at(-1)).toMatchObject({ command: "preview", offset: 5 });
  const width = el.querySelector<HTMLInputElement>('th input[type="number"]') as HTMLInputElement;
  width.value = "14";
  width.dispatchEvent(new Event("change", { bubbles: true }));
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "preview", widths: { picture: 14 } });
  await click(el, "Close");
  expect(model.get("selected")).toBe("");
});

test("deleting names the dataset and asks", async () => {
  const { model, el } = await shown({ selected: "u1" });
  await click(el, "Delete dataset 'digits'");
  expect(el.querySelector("legend")?.textContent).toBe(
    "Delete dataset 'digits'? Its rows cannot be brought back.",
  );
  await click(el, "Delete");
  expect(model.sent.at(-1)).toMatchObject({ command: "delete", datasets: ["u1"] });
});
