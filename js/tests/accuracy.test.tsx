// The accuracy panel: curve and matrix from traits, the gallery by command, keys that walk the matrix.
import { expect, test } from "vitest";
import panel, { heading, step } from "../src/accuracy";
import { ticks } from "../src/lib/epochs";
import { luminance, quantity, shade } from "../src/lib/palette";
import { FakeModel, settle } from "./fake";

const GALLERY = {
  count: 1,
  rows: [{ index: 7, true: 1, predicted: 0, sure: 0.8, image: "data:image/png;base64,AA==" }],
};

async function shown(
  matrix = [
    [5, 0],
    [1, 4],
  ],
) {
  const model = new FakeModel({
    title: "Accuracy",
    notice: "",
    headline: "90.0 % of 10, 1 wrong",
    classes: ["cat", "dog"],
    runs: [
      {
        name: "wide",
        epochs: [
          { right: 0.8, seconds: 0.5 },
          { right: 0.9, seconds: 0.5 },
        ],
      },
      { name: "deep", epochs: [{ right: 0.85, seconds: null }] },
    ],
    selected: "wide",
    matrix,
  });
  const el = document.createElement("div");
  document.body.append(el);
  panel.render({ model, el });
  await settle();
  return { model, el };
}

test("the wrong rows are asked for and shown with their sureness", async () => {
  const { model, el } = await shown();
  expect(model.sent).toContainEqual(expect.objectContaining({ command: "gallery", order: "wrong" }));
  model.reply("gallery", { ok: true, result: GALLERY });
  await settle();
  expect(el.textContent).toContain("1 wrong, the surest first");
  expect(el.querySelector("img")?.alt).toBe("row 7, dog → cat");
  expect(el.querySelector<HTMLElement>(".hanami-sure > div")?.style.width).toBe("80%");
});

test("a cell of the matrix shows its rows, and an arrow key leads to its neighbour", async () => {
  const { model, el } = await shown();
  const cell = el.querySelector<HTMLButtonElement>('[data-cell="1,0"]');
  expect(cell?.getAttribute("aria-label")).toBe("dog read as cat: 1");
  cell?.click();
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "gallery", order: "cell", true: 1, predicted: 0 });
  expect(cell?.getAttribute("aria-pressed")).toBe("true");
  cell?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  await settle();
  expect(document.activeElement).toBe(el.querySelector('[data-cell="1,1"]'));
});

test("runs are compared, and another one can be chosen", async () => {
  const { model, el } = await shown();
  const names = [...el.querySelectorAll(".hanami-epochs li")].map((item) => item.textContent?.trim());
  expect(names).toEqual(["wide 90.0 % · 1.0 s", "deep 85.0 %"]);
  el.querySelectorAll<HTMLButtonElement>(".hanami-epochs button")[1]?.click();
  await settle();
  expect(model.sent.at(-1)).toMatchObject({ command: "select", run: "deep" });
});

test("without results it says what will be here", async () => {
  const { el } = await shown([]);
  expect(el.textContent).toContain("The accuracy will be here.");
});

test("words, keys, ticks and colours", () => {
  const classes = ["4", "9"];
  expect(heading({ order: "cell", true: 0, predicted: 1 }, 3, classes)).toBe("3 × 4 taken for 9");
  expect(heading({ order: "cell", true: 0, predicted: 0 }, 3, classes)).toBe("3 × 4 read right");
  expect([step("ArrowUp", 0, 1, 2), step("ArrowLeft", 1, 1, 2), step("a", 0, 0, 2)]).toEqual([
    [0, 1],
    [1, 0],
    null,
  ]);
  expect(ticks(0.915, 0.965)).toEqual([0.9, 0.92, 0.94, 0.96, 0.98]);
  expect(ticks(0.9, 0.9).length).toBeGreaterThan(1);
  expect([quantity(0), quantity(1)]).toEqual([
    [68, 1, 84],
    [253, 231, 37],
  ]);
  for (let count = 1; count <= 30; count++) {
    const { background, color } = shade(count, 30);
    const ground = luminance(background.match(/\d+/g)?.map(Number) ?? []);
    const text = color === "#000" ? 0 : 1;
    expect((Math.max(ground, text) + 0.05) / (Math.min(ground, text) + 0.05)).toBeGreaterThan(4.5);
  }
});
