// The parts all panels share: numbers in words, curves, commands and their replies.
import { afterEach, expect, test, vi } from "vitest";
import { points } from "../src/lib/curve";
import { count, percent, span } from "../src/lib/format";
import { CommandError, Commands } from "../src/lib/model";
import { FakeModel } from "./fake";

afterEach(() => vi.useRealTimers());

test("numbers and spans are written with their units", () => {
  expect(count(41200)).toBe("41,200");
  expect([0.0003, 0.09, 0.24, 9.96, 41, 60, 185, 3600, 7800].map(span)).toEqual([
    "1 ms",
    "90 ms",
    "0.2 s",
    "10.0 s",
    "41 s",
    "1 min",
    "3 min 5 s",
    "1 h",
    "2 h 10 min",
  ]);
});

test("percent says 100 only when all is done", () => {
  expect([0, 0.29, 0.9999, 1, 1.2].map(percent)).toEqual([0, 29, 99, 100, 100]);
});

test("a curve starts at zero and fills the width", () => {
  expect(points([0, 5, 10], 60, 12)).toBe("0.0,12.0 30.0,7.0 60.0,2.0");
  expect(points([0, 0], 60, 12)).toBe("0.0,12.0 60.0,12.0");
});

test("each reply settles its own command", async () => {
  const model = new FakeModel({});
  const commands = new Commands(model);
  const [one, two] = [commands.send("one"), commands.send("two", { value: 2 })];
  expect(model.sent.map(({ command, value }) => [command, value])).toEqual([
    ["one", undefined],
    ["two", 2],
  ]);
  model.reply("two", { ok: true, result: 4 });
  model.reply("one", { ok: false, error: "Task is gone." });
  await expect(two).resolves.toBe(4);
  await expect(one).rejects.toEqual(new CommandError("Task is gone."));
});

test("a wait is told after 200 ms, a busy kernel after a second, a lost one after thirty", async () => {
  vi.useFakeTimers();
  const waiting: string[] = [];
  const model = new FakeModel({});
  const commands = new Commands(model, (now) => waiting.push(now));
  const answer = commands.send("one").catch((error: Error) => error.message);
  vi.advanceTimersByTime(199);
  expect(waiting).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(waiting).toEqual(["slow"]);
  vi.advanceTimersByTime(800);
  expect(waiting).toEqual(["slow", "busy"]);
  vi.advanceTimersByTime(29_000);
  expect(await answer).toMatch(/run the cell again/);
  expect(waiting).toEqual(["slow", "busy", "no"]);
});

test("a command that the kernel has taken waits for the server, however long", async () => {
  vi.useFakeTimers();
  const waiting: string[] = [];
  const model = new FakeModel({});
  const commands = new Commands(model, (now) => waiting.push(now));
  const answer = commands.send("one");
  model.emit("msg:custom", { id: model.sent[0]?.id, taken: true });
  vi.advanceTimersByTime(100_000);
  expect(new Set(waiting)).toEqual(new Set(["no", "slow"]));
  model.reply("one", { ok: true, result: 1 });
  expect(await answer).toBe(1);
  expect([waiting.at(-1), vi.getTimerCount()]).toEqual(["no", 0]);
});

test("closing leaves no listener and no timer", () => {
  vi.useFakeTimers();
  const model = new FakeModel({});
  const commands = new Commands(model);
  commands.send("one");
  commands.close();
  expect([model.listening, vi.getTimerCount()]).toEqual([0, 0]);
});
