// The Python side as the panels see it: traits to read, commands to send, and whether anybody answers.
import { useEffect, useReducer, useRef, useState } from "preact/hooks";

export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBufferView[]): void;
  on(event: string, callback: (...values: never[]) => void): void;
  off(event: string, callback: (...values: never[]) => void): void;
  widget_manager?: { kernel?: Kernel | null };
}

export interface Reply {
  id: string;
  ok: boolean;
  taken?: boolean;
  result?: unknown;
  error?: string;
}

/** The kernel's word for why a command failed. */
export class CommandError extends Error {}

const SLOW_AFTER = 200;
const BUSY_AFTER = 1000;
const LOST_AFTER = 30_000;
const LOST = "The kernel does not answer. If it was stopped or restarted, run the cell again.";

/** What the person is told of commands under way: nothing, that one takes its time, or that the kernel is busy. */
export type Waiting = "no" | "slow" | "busy";

interface Pending {
  done: (reply: Reply) => void;
  taken: boolean;
  since: number;
}

/**
 * Sends commands as {id, command, ...}. The kernel says {id, taken} as soon as it sees one, so that a busy kernel
 * is told from a slow server, and then replies {id, ok, result | error}.
 */
export class Commands {
  private readonly pending = new Map<string, Pending>();
  private readonly listen: (content: Reply, buffers?: DataView[]) => void;
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(
    private readonly model: Model,
    private readonly onWaiting: (waiting: Waiting) => void = () => {},
  ) {
    this.listen = (reply, buffers) => {
      const entry = this.pending.get(reply.id);
      if (!entry) return;
      if (reply.taken) {
        entry.taken = true;
        this.tell();
      } else entry.done(buffers?.length ? { ...reply, result: buffers[0] } : reply); // bytes come beside the text
    };
    model.on("msg:custom", this.listen as (...values: never[]) => void);
  }

  /** What is attached travels as a buffer: a secret, which no log of the kernel shows then, or many bytes. */
  send<T = unknown>(command: string, values: object = {}, attached?: string | Uint8Array): Promise<T> {
    const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    return new Promise<T>((resolve, reject) => {
      const entry: Pending = {
        taken: false,
        since: Date.now(),
        done: (reply: Reply) => {
          for (const timer of timers) {
            clearTimeout(timer);
            this.timers.delete(timer);
          }
          this.pending.delete(id);
          this.tell();
          if (reply.ok) resolve(reply.result as T);
          else reject(new CommandError(reply.error ?? LOST));
        },
      };
      const timers = [
        setTimeout(() => this.tell(), SLOW_AFTER),
        setTimeout(() => this.tell(), BUSY_AFTER),
        setTimeout(() => entry.taken || entry.done({ id, ok: false, error: LOST }), LOST_AFTER),
      ];
      for (const timer of timers) this.timers.add(timer);
      this.pending.set(id, entry);
      const bytes = typeof attached === "string" ? new TextEncoder().encode(attached) : attached;
      this.model.send({ ...values, id, command }, undefined, bytes ? [bytes] : []);
    });
  }

  close(): void {
    this.model.off("msg:custom", this.listen as (...values: never[]) => void);
    for (const timer of this.timers) clearTimeout(timer);
    this.pending.clear();
  }

  private tell(): void {
    const now = Date.now();
    const waiting = [...this.pending.values()];
    const busy = waiting.some((entry) => !entry.taken && now - entry.since >= BUSY_AFTER);
    const slow = waiting.some((entry) => now - entry.since >= SLOW_AFTER);
    this.onWaiting(busy ? "busy" : slow ? "slow" : "no");
  }
}

/** The current value of a trait; the component follows its changes. */
export function useTrait<T>(model: Model, name: string): T {
  const [, redraw] = useReducer((count: number, _: undefined) => count + 1, 0);
  const drawn = useRef<unknown>();
  drawn.current = model.get(name);
  useEffect(() => {
    const changed = () => redraw(undefined);
    model.on(`change:${name}`, changed);
    if (model.get(name) !== drawn.current) changed(); // it changed between the drawing and this line
    return () => model.off(`change:${name}`, changed);
  }, [model, name]);
  return drawn.current as T;
}

const GONE_CLASS = "jupyter-widgets-disconnected";
const GONE_STATES = new Set(["restarting", "autorestarting", "terminating", "dead"]);

interface Signal<T> {
  connect(slot: (sender: unknown, value: T) => void): void;
  disconnect(slot: (sender: unknown, value: T) => void): void;
}

/** What JupyterLab's widget manager shows of its kernel; other hosts show none. */
interface Kernel {
  statusChanged?: Signal<string>;
  disposed?: Signal<void>;
}

/** Whether the kernel behind the view is gone, as its host's kernel or the class on the view's element says. */
export function useKernelGone(model: Model, el: HTMLElement): boolean {
  const [gone, setGone] = useState(el.classList.contains(GONE_CLASS));
  useEffect(() => {
    const look = () => el.classList.contains(GONE_CLASS) && setGone(true);
    const observer = new MutationObserver(look);
    observer.observe(el, { attributes: true, attributeFilter: ["class"] });
    look();
    const kernel = model.widget_manager?.kernel;
    const told = (_: unknown, state: string) => GONE_STATES.has(state) && setGone(true);
    const ended = () => setGone(true);
    kernel?.statusChanged?.connect(told);
    kernel?.disposed?.connect(ended);
    return () => {
      observer.disconnect();
      kernel?.statusChanged?.disconnect(told);
      kernel?.disposed?.disconnect(ended);
    };
  }, [model, el]);
  return gone;
}
