// A model as the host gives it, without a kernel: traits in a map, messages kept, replies on demand.
import type { Model, Reply } from "../src/lib/model";

type Callback = (...values: never[]) => void;
type Sent = { id: string; command: string; [key: string]: unknown };

export class FakeModel implements Model {
  sent: Sent[] = [];
  secrets: string[] = [];
  private listeners = new Map<string, Set<Callback>>();

  constructor(private traits: Record<string, unknown>) {}

  get(name: string): unknown {
    return this.traits[name];
  }
  set(name: string, value: unknown): void {
    this.traits[name] = value;
    this.emit(`change:${name}`);
  }
  save_changes(): void {}
  send(content: unknown, _callbacks?: unknown, buffers: ArrayBufferView[] = []): void {
    this.sent.push(content as Sent);
    this.secrets.push(...buffers.map((buffer) => new TextDecoder().decode(buffer)));
  }
  on(event: string, callback: Callback): void {
    const listeners = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, listeners.add(callback));
  }
  off(event: string, callback: Callback): void {
    this.listeners.get(event)?.delete(callback);
  }
  emit(event: string, ...values: unknown[]): void {
    for (const callback of this.listeners.get(event) ?? [])
      (callback as (...given: unknown[]) => void)(...values);
  }
  /** Answer the last command sent under this name. */
  reply(command: string, answer: Omit<Reply, "id">): void {
    const message = this.sent.findLast((sent) => sent.command === command);
    if (!message) throw new Error(`No command '${command}' was sent.`);
    this.emit("msg:custom", { ...answer, id: message.id });
  }
  get listening(): number {
    return [...this.listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }
}

/** Let effects and promises run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((done) => setTimeout(done, 0));
  await new Promise((done) => requestAnimationFrame(done));
  await new Promise((done) => setTimeout(done, 0));
}
