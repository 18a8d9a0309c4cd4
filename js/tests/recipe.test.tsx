// The last action as code: shown once there is one, and copied as it stands.
import { expect, test, vi } from "vitest";
import panel from "../src/login";
import { FakeModel, settle } from "./fake";

test("a recipe appears with the action, and its lines are copied as they stand", async () => {
  const written = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  const model = new FakeModel({
    title: "Hanami",
    notice: "",
    address: "",
    user: "",
    verify: true,
    recipe: {},
  });
  model.set("signed_in", {});
  const el = document.createElement("div");
  document.body.append(el);
  panel.render({ model, el });
  await settle();
  expect(el.querySelector("details")).toBeNull();
  model.set("recipe", { python: "session.renew()\nsession.close()", shell: "" });
  await settle();
  expect([...el.querySelectorAll("pre")].map((lines) => lines.textContent)).toEqual([
    "session.renew()\nsession.close()",
  ]);
  el.querySelector<HTMLButtonElement>("details button")?.click();
  await settle();
  expect(written).toHaveBeenCalledWith("session.renew()\nsession.close()");
  model.set("recipe", { python: "session.close()", shell: "hanamictl logout" });
  await settle();
  expect(el.querySelectorAll("pre")).toHaveLength(2);
});
