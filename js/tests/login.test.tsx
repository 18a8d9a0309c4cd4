// The login panel: what it sends, that the password goes as a buffer alone, and what it shows afterwards.
import { expect, test } from "vitest";
import panel, { timeLeft } from "../src/login";
import { FakeModel, settle } from "./fake";

const SIGNED = {
  address: "http://127.0.0.1:11418",
  user: "asdf",
  admin: true,
  project: "admin",
  projects: ["admin", "other"],
  valid_until: null,
};

async function shown(signed: object = {}) {
  const model = new FakeModel({
    title: "Hanami",
    notice: "",
    address: "http://127.0.0.1:11418",
    user: "asdf",
    verify: true,
    signed_in: signed,
  });
  const el = document.createElement("div");
  document.body.append(el);
  panel.render({ model, el });
  await settle();
  return { model, el };
}

function field<T extends Element>(el: HTMLElement, selector: string): T {
  const found = el.querySelector<T>(selector);
  if (!found) throw new Error(`There is no ${selector} in: ${el.innerHTML}`);
  return found;
}

test("the time left is said in words", () => {
  const now = Date.parse("2026-01-01T12:00:00Z");
  const after = (minutes: number) => timeLeft(new Date(now + minutes * 60_000).toISOString(), now);
  expect([58.5, 0.5, -1, 300].map(after)).toEqual([
    "58 min left",
    "less than a minute left",
    "ended",
    "5 h left",
  ]);
  expect(timeLeft(null, now)).toBe("");
});

test("the password goes as a buffer, in no message's text, and leaves the form", async () => {
  const { model, el } = await shown();
  field<HTMLInputElement>(el, "input[type=password]").value = "hidden-word";
  field<HTMLFormElement>(el, "form").dispatchEvent(new Event("submit", { cancelable: true, bubbles: true }));
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "sign_in", user: "asdf", verify: true });
  expect(JSON.stringify(model.sent)).not.toContain("hidden-word");
  expect(model.secrets).toEqual(["hidden-word"]);
  model.reply("sign_in", { ok: false, error: "The user or the password is wrong." });
  await settle();
  expect(el.textContent).toContain("The user or the password is wrong.");
  expect(field<HTMLInputElement>(el, "input[type=password]").value).toBe("");
});

test("a missing password is said before anything is sent", async () => {
  const { model, el } = await shown();
  field<HTMLFormElement>(el, "form").dispatchEvent(new Event("submit", { cancelable: true, bubbles: true }));
  await settle();
  expect(el.textContent).toContain("The password is missing. Fill it in.");
  expect(model.sent.map((message) => message.command)).not.toContain("sign_in");
});

test("a remembered server brings its user and its switch", async () => {
  const { model, el } = await shown();
  model.reply("known", { ok: true, result: [{ address: "https://far:1", user: "fern", verify: false }] });
  await settle();
  const address = field<HTMLInputElement>(el, "input[type=url]");
  address.value = "https://far:1";
  address.dispatchEvent(new Event("input", { bubbles: true }));
  await settle();
  expect(field<HTMLInputElement>(el, "input:not([type])").value).toBe("fern");
  expect(field<HTMLInputElement>(el, "input[type=checkbox]").checked).toBe(true);
});

test("whoever is signed in is named, can switch the project and sign out", async () => {
  const { model, el } = await shown(SIGNED);
  expect(el.textContent).toContain("asdf (admin)");
  expect(el.querySelector("input")).toBeNull();
  const select = field<HTMLSelectElement>(el, "select");
  select.value = "other";
  select.dispatchEvent(new Event("change", { bubbles: true }));
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "switch_project", project: "other" });
  model.reply("switch_project", { ok: true });
  await settle();
  [...el.querySelectorAll("button")].find((button) => button.textContent === "Sign out")?.click();
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "sign_out" });
});
