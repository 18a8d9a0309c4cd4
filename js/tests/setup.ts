// Ends what is still due when a file's tests are over: the document that it would draw in is gone then.
import { afterAll } from "vitest";

const due = new Set<ReturnType<typeof setTimeout>>();
const later = globalThis.setTimeout;
globalThis.setTimeout = ((...given: Parameters<typeof setTimeout>) => {
  const timer = later(...given);
  due.add(timer);
  return timer;
}) as typeof setTimeout;

afterAll(() => due.forEach(clearTimeout));
