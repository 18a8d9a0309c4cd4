// The shared table: asks for pages, sorts, filters, walks by key, selects, marks, copies.
import { expect, test, vi } from "vitest";
import { Ask } from "../src/lib/ask";
import { moment } from "../src/lib/format";
import { panel } from "../src/lib/panel";
import { type Page, Table, type TableProps } from "../src/lib/table";
import { step } from "../src/lib/walk";
import { FakeModel, settle } from "./fake";

const COLUMNS: Page["columns"] = [
  { name: "name", label: "Name", kind: "text" },
  { name: "rows", label: "Rows", kind: "number" },
  { name: "uuid", label: "Uuid", kind: "uuid" },
  { name: "created_at", label: "Created", kind: "time" },
];
const uuid = (number: number) => `${String(number).padStart(8, "0")}-aaaa`;
const row = (number: number) => ({
  name: `set ${number}`,
  rows: number * 1000,
  uuid: uuid(number),
  created_at: Date.UTC(2024, 6, 12, 20, 52),
});

/** What the kernel answers about a list of so many rows. */
function page(total: number, offset: number, selected = ""): Page {
  const numbers = Array.from({ length: Math.min(10, total - offset) }, (_, i) => offset + i);
  const rows = numbers.map(row);
  const found = selected ? row(Number(selected.slice(0, 8))) : null;
  return { columns: COLUMNS, offset, total, keys: rows.map((one) => one.uuid), rows, selected: found };
}

async function shown(total: number, props: Partial<TableProps> = {}, selected = "") {
  const model = new FakeModel({ listing: { version: 1, total }, selected, notice: "" });
  const el = document.createElement("div");
  document.body.append(el);
  const body = () => <Table label="datasets" empty="The datasets will be here. Upload one." {...props} />;
  panel(body).render({ model, el });
  await settle();
  if (total) await answer(model, page(total, 0, selected));
  return { model, el };
}

async function answer(model: FakeModel, result: Page) {
  model.reply("rows", { ok: true, result });
  await settle();
}

const rowsOf = (el: HTMLElement) => [...el.querySelectorAll<HTMLElement>("tbody tr")];

async function press(el: HTMLElement, key: string) {
  const focused = el.querySelector<HTMLElement>('tbody tr[tabindex="0"]');
  focused?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  await settle();
}

test("keys lead to places inside the list", () => {
  expect(
    ["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"].map((key) => step(key, 5, 10, 12)),
  ).toEqual([6, 4, 11, 0, 0, 11]);
  expect(step("a", 5, 10, 12)).toBeUndefined();
});

test("times are short, with the year where it is another", () => {
  const now = new Date(2026, 10, 24, 12).getTime();
  expect(moment(new Date(2026, 6, 2, 8, 5).getTime(), now)).toBe("2 Jul 08:05");
  expect(moment(new Date(2024, 6, 12, 20, 52).getTime(), now)).toBe("12 Jul 2024");
});

test("a page is shown with numbers, short uuids and whole ones in the tooltip", async () => {
  const { model, el } = await shown(10_000);
  expect(model.sent.filter((sent) => sent.command === "rows")).toHaveLength(1);
  expect(el.querySelector(".hanami-pager")?.textContent).toContain("1–10 of 10,000");
  const table = el.querySelector("table");
  expect([table?.getAttribute("role"), table?.getAttribute("aria-rowcount")]).toEqual(["grid", "10001"]);
  const cells = [...(rowsOf(el)[2]?.querySelectorAll("td") ?? [])];
  expect(cells.map((cell) => cell.textContent?.trim())).toEqual([
    "set 2",
    "2,000",
    "00000002",
    "12 Jul 2024",
  ]);
  expect(cells[2]?.querySelector("code")?.title).toBe(uuid(2));
  expect(cells[1]?.className).toBe("hanami-number");
});

test("an empty list offers the first step, an unknown one says nothing yet", async () => {
  const { model, el } = await shown(0);
  expect(el.textContent).toBe("The datasets will be here. Upload one.");
  model.set("listing", { version: 0, total: null });
  await settle();
  expect(el.textContent).toBe("");
});

test("a head sorts, and sorts the other way at the second click", async () => {
  const { model, el } = await shown(30);
  const head = () => [...el.querySelectorAll("th")][1] as HTMLElement;
  head().querySelector("button")?.click();
  expect(model.sent.at(-1)).toMatchObject({ sort: "rows", descending: false, offset: 0, limit: 10 });
  await answer(model, page(30, 0));
  expect(head().getAttribute("aria-sort")).toBe("ascending");
  head().querySelector("button")?.click();
  expect(model.sent.at(-1)).toMatchObject({ sort: "rows", descending: true });
  await answer(model, page(30, 0));
  expect(head().getAttribute("aria-sort")).toBe("descending");
});

test("of quick questions only the latest is shown", async () => {
  const { model, el } = await shown(30);
  const filter = el.querySelector("input") as HTMLInputElement;
  for (const value of ["s", "se"]) {
    filter.value = value;
    filter.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const [first, second] = model.sent.slice(-2);
  expect([first?.search, second?.search]).toEqual(["s", "se"]);
  model.emit("msg:custom", { id: second?.id, ok: true, result: { ...page(3, 0), total: 3 } });
  model.emit("msg:custom", { id: first?.id, ok: true, result: page(30, 0) });
  await settle();
  expect(el.querySelector(".hanami-pager")?.textContent).toContain("3 that match");
  filter.dispatchEvent(new Event("input", { bubbles: true }));
  await answer(model, { ...page(30, 0), total: 0, keys: [], rows: [] });
  expect(el.textContent).toContain("Nothing among 30 matches.");
});

test("arrows walk over the end of a page, and focus follows", async () => {
  const { model, el } = await shown(30);
  rowsOf(el)[8]?.focus();
  await settle();
  await press(el, "ArrowDown");
  expect(document.activeElement).toBe(rowsOf(el)[9]);
  await press(el, "ArrowDown");
  expect(model.sent.at(-1)).toMatchObject({ command: "rows", offset: 10 });
  await answer(model, page(30, 10));
  expect((document.activeElement as HTMLElement).dataset.key).toBe(uuid(10));
  await press(el, "End");
  await answer(model, page(30, 20));
  expect((document.activeElement as HTMLElement).dataset.key).toBe(uuid(29));
  expect(rowsOf(el).filter((item) => item.tabIndex === 0)).toHaveLength(1);
});

test("Enter and a click select, Escape does not, and actions belong to the selected row", async () => {
  const actions = (one: { name?: unknown }) => <button type="button">{`Open ${one.name}`}</button>;
  const { model, el } = await shown(30, { actions });
  rowsOf(el)[3]?.focus();
  await settle();
  await press(el, "Enter");
  expect(model.get("selected")).toBe(uuid(3));
  expect(rowsOf(el)[3]?.getAttribute("aria-selected")).toBe("true");
  expect(el.querySelector(".hanami-actions")?.textContent).toBe("Open set 3");
  rowsOf(el)[5]?.click();
  await settle();
  expect(el.querySelector(".hanami-actions")?.textContent).toBe("Open set 5");
  await press(el, "Escape");
  expect(model.get("selected")).toBe("");
  expect(el.querySelector(".hanami-actions")).toBeNull();
});

test("a row selected elsewhere is looked for and shown; one on the page needs no question", async () => {
  const { model, el } = await shown(30);
  const count = model.sent.length;
  model.set("selected", uuid(4));
  await settle();
  expect(model.sent).toHaveLength(count);
  model.set("selected", uuid(25));
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ key: uuid(25), jump: true });
  await answer(model, page(30, 20, uuid(25)));
  expect(el.querySelector('[aria-selected="true"]')?.getAttribute("data-key")).toBe(uuid(25));
});

test("a changed list is asked for anew at the same place", async () => {
  const { model, el } = await shown(30);
  el.querySelector<HTMLElement>('[aria-label="Next datasets"]')?.click();
  await answer(model, page(30, 10));
  model.set("listing", { version: 2, total: 31 });
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ offset: 10, jump: false });
});

test("boxes mark rows over pages, and the space bar too", async () => {
  const bulk = (keys: string[]) => <span class="bulk">{keys.join()}</span>;
  const { model, el } = await shown(30, { bulk });
  rowsOf(el)[1]?.focus();
  await settle();
  await press(el, " ");
  el.querySelector<HTMLElement>('[aria-label="Next datasets"]')?.click();
  await answer(model, page(30, 10));
  rowsOf(el)[0]?.querySelector("input")?.click();
  await settle();
  expect(el.querySelector(".bulk")?.textContent).toBe(`${uuid(1)},${uuid(10)}`);
  expect(model.get("selected")).toBe("");
  el.querySelector<HTMLInputElement>("th input")?.click();
  await settle();
  expect(el.textContent).toContain("11 marked");
});

test("quick keys act on the row they were meant for", async () => {
  const { el } = await shown(30, { bulk: (keys) => <span class="bulk">{keys.join()}</span> });
  rowsOf(el)[0]?.focus();
  for (const key of [" ", "ArrowDown", " ", "ArrowDown", " "]) {
    document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  }
  await settle();
  expect(el.querySelector(".bulk")?.textContent).toBe([0, 1, 2].map(uuid).join());
});

test("the copy button copies the whole uuid and does not select", async () => {
  const { model, el } = await shown(30);
  const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  const button = rowsOf(el)[2]?.querySelector<HTMLElement>(".hanami-copy");
  expect(button?.getAttribute("aria-label")).toBe("Copy uuid of set 2");
  button?.click();
  await settle();
  expect(write).toHaveBeenCalledWith(uuid(2));
  expect(button?.getAttribute("aria-label")).toBe("Copied");
  expect(model.get("selected")).toBe("");
});

test("what cannot be undone asks first, and Escape takes it back", async () => {
  const model = new FakeModel({ notice: "" });
  const el = document.createElement("div");
  document.body.append(el);
  const done = vi.fn();
  const ask = { verb: "Delete", doing: "Deleting", question: "Delete dataset 'a'?", keep: "Keep", done };
  panel(() => <Ask {...ask} command="delete" values={{ uuids: ["a"] }} />).render({ model, el });
  await settle();
  const click = async (text: string) => {
    [...el.querySelectorAll("button")].find((item) => item.textContent === text)?.click();
    await settle();
  };
  await click("Delete");
  expect(document.activeElement?.textContent).toBe("Keep");
  el.querySelector("fieldset")?.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  await settle();
  expect(el.textContent).toBe("Delete");
  await click("Delete");
  await click("Delete");
  expect(model.sent.at(-1)).toMatchObject({ command: "delete", uuids: ["a"] });
  expect(done).not.toHaveBeenCalled();
  model.reply("delete", { ok: true, result: null });
  await settle();
  expect(done).toHaveBeenCalledOnce();
});
