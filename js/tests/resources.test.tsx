// The list with what can be done to it: forms and questions before an action, secrets, files, curves.
import { expect, test, vi } from "vitest";
import { marks, path } from "../src/lib/lines";
import { told } from "../src/machine";
import panel, { asked, pill } from "../src/resources";
import { FakeModel, settle } from "./fake";

const ROW = { id: "fern", name: "Fern" };
const ACTION = { row: true, form: false, question: "", keep: "Keep", file: false };

async function shown(actions: object[], words: object = {}) {
  const model = new FakeModel({
    title: "Users",
    notice: "",
    recipe: {},
    said: "",
    selected: "fern",
    listing: { version: 1, total: 1 },
    offered: actions.map((action) => ({ ...ACTION, ...action })),
    words: { many: "users", empty: "None yet.", detailed: false, plotted: false, ...words },
  });
  const el = document.createElement("div");
  document.body.append(el);
  panel.render({ model, el });
  await settle();
  const columns = [{ name: "id", label: "Id", kind: "text" }];
  const page = { columns, offset: 0, total: 1, keys: ["fern"], rows: [ROW], selected: ROW };
  model.reply("rows", { ok: true, result: page });
  await settle();
  return { model, el };
}

function button(el: HTMLElement, text: string): HTMLButtonElement {
  const found = [...el.querySelectorAll("button")].find((one) => one.textContent === text);
  if (!found) throw new Error(`There is no button '${text}' in: ${el.innerHTML}`);
  return found;
}

test("a question names the row, and nothing is done before it is answered", async () => {
  const { model, el } = await shown([
    { name: "delete", label: "Delete", question: "Delete user '{id}'?", keep: "Keep him" },
  ]);
  button(el, "Delete").click();
  await settle();
  expect(el.querySelector("form")?.textContent).toContain("Delete user 'fern'?");
  expect(document.activeElement?.textContent).toBe("Keep him");
  button(el, "Keep him").click();
  await settle();
  expect(model.sent.some(({ command }) => command === "act")).toBe(false);
  button(el, "Delete").click();
  await settle();
  el.querySelector("form")?.requestSubmit();
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "act", action: "delete", key: "fern", values: {} });
});

test("a form is filled in, its password goes as a buffer alone", async () => {
  const { model, el } = await shown([{ name: "create", label: "New user", row: false, form: true }]);
  button(el, "New user").click();
  await settle();
  const field = { kind: "text", value: "", choices: [] };
  const fields = [
    { ...field, name: "user", label: "Id", value: "oak" },
    {
      ...field,
      name: "role",
      label: "Role",
      kind: "choice",
      value: "b",
      choices: [
        ["a", "A"],
        ["b", "B"],
      ],
    },
    { ...field, name: "admin", label: "Admin", kind: "flag", value: false },
    { ...field, name: "password", label: "Password", kind: "password" },
  ];
  model.reply("form", { ok: true, result: fields });
  await settle();
  el.querySelector<HTMLInputElement>("input[type=checkbox]")?.click();
  const secret = el.querySelector<HTMLInputElement>("input[type=password]") as HTMLInputElement;
  secret.value = "an oak is old";
  await settle();
  el.querySelector("form")?.requestSubmit();
  await settle();
  const act = model.sent.at(-1);
  expect(act).toMatchObject({
    command: "act",
    action: "create",
    values: { user: "oak", role: "b", admin: true },
  });
  expect(JSON.stringify(model.sent)).not.toContain("an oak is old");
  expect(model.secrets.at(-1)).toBe("an oak is old");
  expect(secret.value).toBe("");
  model.reply("act", { ok: false, error: "A user 'oak' exists already. Give another id." });
  await settle();
  expect(el.textContent).toContain("Give another id.");
  expect(el.querySelector("form")).not.toBeNull(); // what was filled in stays
});

test("a file is fetched in pieces and saved under its name", async () => {
  const { model, el } = await shown([{ name: "csv", label: "Download CSV" }]);
  const address = vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:one");
  const clicked = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(() => {});
  button(el, "Download CSV").click();
  await settle();
  model.reply("act", { ok: true, result: { file: { number: 1, name: "a.csv", size: 5, piece: 3 } } });
  for (const piece of ["abc", "de"]) {
    await settle();
    const { id } = model.sent.at(-1) as { id: string };
    model.emit("msg:custom", { id, ok: true }, [new DataView(new TextEncoder().encode(piece).buffer)]);
  }
  await settle();
  expect(model.sent.filter(({ command }) => command === "fetch").map(({ offset }) => offset)).toEqual([0, 3]);
  const [[blob]] = address.mock.calls as [[Blob]];
  expect(await blob.text()).toBe("abcde");
  expect(clicked).toHaveBeenCalledOnce();
});

test("counts, questions and axes are written as a person would", () => {
  expect([pill(1, "entries", ""), pill(2, "hosts", ""), pill(1, "hosts", "")]).toEqual([
    "1 entry",
    "2 hosts",
    "1 host",
  ]);
  expect([pill(null, "hosts", ""), pill(null, "hosts", "The network is gone.")]).toEqual([
    "looking…",
    "unknown",
  ]);
  expect(asked("Delete '{name}' of {owner}?", { name: "x" })).toBe("Delete 'x' of ?");
  expect(marks(0, 2596)).toEqual([0, 1000, 2000, 3000]);
  expect(marks(0, 0)).toEqual([0, 0.5]); // an axis has a length, whatever is on it
  const [x, y] = [(i: number) => i, (value: number) => value];
  expect(path([1, null, 2, 3], x, y)).toBe("M0.0 1.0M2.0 2.0L3.0 3.0");
  const curve = { name: "Clock", unit: "MHz", values: [0, 2600, 1300] };
  expect(told(curve, "hours")).toBe("Clock over the last day: now 1,300 MHz, at most 2,600 MHz");
});
