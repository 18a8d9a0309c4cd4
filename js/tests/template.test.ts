// Templates: the same cases that the Python parser reads, edits that keep comments, the grid's geometry.
import { expect, test } from "vitest";
import cases from "../../tests/panels/templates.json";
import { centre, projection } from "../src/lib/hexagons";
import {
  addHexagon,
  apply,
  freeName,
  moveHexagon,
  removeHexagon,
  setEnd,
  setSetting,
} from "../src/template/edit";
import { ghosts, tinted, towards } from "../src/template/grid";
import { around, comma, distance, type Position, parse } from "../src/template/parse";
import { endsOf, plain, tintOf } from "../src/template_editor";

interface Case {
  text: string;
  problems?: [number, number, string][];
  warnings?: [number, number, string][];
  hexagons?: number[][];
  inputs?: Record<string, number[]>;
  outputs?: Record<string, number[]>;
  settings?: Record<string, number | boolean>;
}

const DEFAULTS: Record<string, unknown> = {
  neuron_cooldown: 1e30,
  refractory_time: 1,
  max_connection_distance: 1,
  enable_reduction: false,
};

test.each((cases as unknown as Case[]).map((item, i) => [i, item] as const))(
  "case %i reads as in Python",
  (_, item) => {
    const found = parse(item.text);
    const plainly = (list: { start: number; end: number; message: string }[]) =>
      list.map(({ start, end, message }) => [start, end, message]);
    expect(plainly(found.problems)).toEqual(item.problems ?? []);
    if (item.problems) return;
    expect(plainly(found.warnings)).toEqual(item.warnings);
    expect(found.hexagons.map((hexagon) => hexagon.position)).toEqual(item.hexagons);
    for (const block of ["inputs", "outputs"] as const) {
      expect(Object.fromEntries(found[block].map((end) => [end.name, end.position]))).toEqual(item[block]);
    }
    const other = found.settings.filter((setting) => setting.value !== DEFAULTS[setting.key]);
    expect(Object.fromEntries(other.map((setting) => [setting.key, setting.value]))).toEqual(item.settings);
  },
);

const TEXT = `version: 1
settings:
    refractory_time: 1   # rest
hexagons:
    1,1,1   # where pictures enter
    2,1,1
    3,1,1
inputs:
    picture: 1,1,1
outputs:
    label: 3,1,1   # the answer
`;

test("a hexagon is added below the last one, indented like it", () => {
  const now = apply(TEXT, addHexagon(TEXT, [3, 2, 1]));
  expect(now).toBe(TEXT.replace("    3,1,1\n", "    3,1,1\n    3,2,1\n"));
  expect(addHexagon(TEXT, [1, 1, 1])).toEqual([]);
});

test("a removed hexagon takes its line and its name along, and nothing else", () => {
  const now = apply(TEXT, removeHexagon(TEXT, [3, 1, 1]));
  expect(now).toBe(TEXT.replace("    3,1,1\n", "").replace("    label: 3,1,1   # the answer\n", ""));
});

test("a moved hexagon keeps its comment and its name", () => {
  const now = apply(TEXT, moveHexagon(TEXT, [1, 1, 1], [1, 2, 1]));
  expect(now).toContain("1,2,1   # where pictures enter");
  expect(now).toContain("picture: 1,2,1");
  expect(moveHexagon(TEXT, [1, 1, 1], [2, 1, 1])).toEqual([]);
});

test("inputs and outputs are made, renamed, turned and taken back", () => {
  const made = apply(TEXT, setEnd(TEXT, [2, 1, 1], "output", "extra"));
  expect(made).toContain("label: 3,1,1   # the answer\n    extra: 2,1,1\n");
  expect(apply(TEXT, setEnd(TEXT, [3, 1, 1], "output", "digit"))).toContain("digit: 3,1,1   # the answer");
  const turned = parse(apply(TEXT, setEnd(TEXT, [3, 1, 1], "input", "label")));
  expect(turned.inputs.map((end) => end.name)).toEqual(["picture", "label"]);
  expect(turned.outputs).toEqual([]);
  expect(endsOf(parse(apply(TEXT, setEnd(TEXT, [3, 1, 1], "inner", ""))))).toEqual({
    "1,1,1": { kind: "input", name: "picture" },
  });
  expect([freeName(TEXT, "input"), freeName(TEXT, "label")]).toEqual(["input", "label_2"]);
});

test("a setting is changed in its place or added", () => {
  expect(apply(TEXT, setSetting(TEXT, "refractory_time", "3"))).toContain("refractory_time: 3   # rest");
  const now = apply(TEXT, setSetting(TEXT, "neuron_cooldown", plain("1e7")));
  expect(now).toContain("refractory_time: 1   # rest\n    neuron_cooldown: 10000000\n");
  expect(parse(now).problems).toEqual([]);
});

test("places of the grid: neighbours touch, free places surround, arrows lead to what is shown", () => {
  for (const place of [
    [1, 1, 1],
    [2, 2, 1],
    [-1, -3, 0],
  ] as Position[]) {
    expect(around(place).map((near) => distance(place, near))).toEqual([1, 1, 1, 1, 1, 1]);
    const lengths = around(place).map((near) => {
      const [[x1, y1], [x2, y2]] = [centre(place), centre(near)];
      return Math.hypot(x1 - x2, y1 - y2);
    });
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThan(0.1);
  }
  expect(ghosts([[1, 1, 1]], 1)).toHaveLength(6);
  expect(ghosts([[1, 1, 1]], 2)).toEqual([[1, 1, 2]]);
  expect(ghosts([], 4)).toEqual([[1, 1, 4]]);
  const shown = new Set(
    [
      [1, 1, 1],
      [2, 1, 1],
      [2, 2, 1],
    ].map((place) => comma(place as Position)),
  );
  expect(towards("ArrowRight", [1, 1, 1], shown)).toEqual([2, 1, 1]);
  expect(towards("ArrowDown", [1, 1, 1], shown)).toEqual([2, 2, 1]);
  expect(towards("ArrowLeft", [1, 1, 1], shown)).toBeNull();
});

test("one layer is drawn flat; the layers of a stack do not cover each other", () => {
  const flat = projection([
    [1, 1, 4],
    [2, 1, 4],
  ]);
  expect(flat.at([2, 1, 4])).toEqual(centre([2, 1, 4]));
  const places = [0, 1, 2].flatMap((z) => [1, 2, 3].map((y): Position => [1, y, z]));
  const stack = projection(places);
  const rows = (z: number) => places.filter((place) => place[2] === z).map((place) => stack.at(place)[1]);
  expect(Math.max(...rows(1))).toBeLessThan(Math.min(...rows(0)));
  expect(Math.max(...rows(2))).toBeLessThan(Math.min(...rows(1)));
  expect(stack.at([1, 3, 0])[1] - stack.at([1, 1, 0])[1]).toBeLessThan(
    centre([1, 3, 0])[1] - centre([1, 1, 0])[1],
  );
});

test("hexagons are tinted by what grew, from the least to the most", () => {
  const grown = [
    { place: "1,1,1", blocks: 0, sections: 10, synapses: 900 },
    { place: "2,1,1", blocks: 8, sections: 40, synapses: 100 },
  ];
  expect(tintOf(grown, "")).toBeNull();
  expect(tintOf([], "blocks")).toBeNull();
  const tint = tintOf(grown, "blocks");
  expect(tint?.most).toBe(8);
  expect(tinted(tint, "1,1,1")).toEqual({ fill: "rgb(68,1,84)", text: "#fff", count: 0 });
  expect(tinted(tint, "2,1,1")).toEqual({ fill: "rgb(253,231,37)", text: "#000", count: 8 });
  expect(tinted(tint, "9,9,9")).toBeNull();
});
