// What every panel is made of: the card with its head, notices and foot, and the mounting into a view.
import { type ComponentChildren, createContext, render } from "preact";
import { useContext, useEffect, useMemo, useState } from "preact/hooks";
import "./panel.css";
import { Commands, type Model, useKernelGone, useTrait, type Waiting } from "./model";
import { luminance } from "./palette";
import { Recipe } from "./recipe";

interface Panel {
  model: Model;
  commands: Commands;
  /** Nobody can answer: buttons are disabled. */
  gone: boolean;
}

const Context = createContext<Panel | null>(null);

export function usePanel(): Panel {
  const panel = useContext(Context);
  if (!panel) throw new Error("usePanel stands outside a panel.");
  return panel;
}

const WaitingContext = createContext<Waiting>("no");

export type State = "active" | "queued" | "finished" | "aborted" | "failed" | "idle";

const ICONS: Record<State, string> = {
  active: "▸",
  queued: "…",
  finished: "✓",
  aborted: "◼",
  failed: "!",
  idle: "○",
};

export function Icon({ state }: { state: State }) {
  return (
    <span class={`hanami-icon hanami-${state}`} aria-hidden="true">
      {ICONS[state]}
    </span>
  );
}

interface CardProps {
  title: string;
  pill: string;
  state: State;
  children: ComponentChildren;
}

/** The card: title left, one status pill right, the body, and what is wrong in words. */
export function Card({ title, pill, state, children }: CardProps) {
  const { gone } = usePanel();
  const waiting = useContext(WaitingContext);
  return (
    <section class="hanami" aria-label={title} data-lm-suppress-shortcuts="true">
      <header class="hanami-head">
        <h3>{title}</h3>
        <span class="hanami-working hanami-quiet">{!gone && waiting === "slow" && "working…"}</span>
        <span class="hanami-pill" role="status">
          <Icon state={state} /> {pill}
        </span>
      </header>
      {children}
      <Notices />
      <Done />
    </section>
  );
}

export function Notice({ text }: { text: string }) {
  return (
    <p class="hanami-notice">
      <Icon state="failed" /> {text}
    </p>
  );
}

function Notices() {
  const { model, gone } = usePanel();
  const waiting = useContext(WaitingContext);
  const notice = useTrait<string>(model, "notice");
  return (
    <div aria-live="polite">
      {gone && <Notice text="The kernel is gone. Run the cell again." />}
      {!gone && waiting === "busy" && (
        <p class="hanami-notice">
          <Icon state="queued" /> The kernel is busy. It answers when the running cell ends.
        </p>
      )}
      {!gone && notice && <Notice text={notice} />}
    </div>
  );
}

/** What was done last, as code; nothing before anything was done. */
function Done() {
  const recipe = useTrait<{ python?: string; shell?: string } | undefined>(usePanel().model, "recipe");
  return recipe?.python ? <Recipe python={recipe.python} shell={recipe.shell ?? ""} /> : null;
}

/** Whether the notebook is dark: JupyterLab says so, elsewhere the page's text is bright. */
export function isDark(): boolean {
  const told = document.body.dataset.jpThemeLight;
  if (told) return told === "false";
  const colour =
    getComputedStyle(document.body)
      .color.match(/[\d.]+/g)
      ?.map(Number) ?? [];
  return luminance(colour.length >= 3 ? colour.slice(0, 3) : [0, 0, 0]) > 0.4;
}

/** Keep the notebook's shortcuts from an element: some are looked for on the focused element itself. */
function ownKeys(item: Element): void {
  item.setAttribute("data-lm-suppress-shortcuts", "true");
}

function Root({ model, el, children }: { model: Model; el: HTMLElement; children: ComponentChildren }) {
  const gone = useKernelGone(model, el);
  const [waiting, setWaiting] = useState<Waiting>("no");
  const commands = useMemo(() => new Commands(model, setWaiting), [model]);
  useEffect(() => {
    // the keys on a dashboard's tabs are the tabs'
    const keys = () => el.closest(".hanami-dashboard")?.querySelectorAll("[role=tab]").forEach(ownKeys);
    commands.send("refresh", { dark: isDark() }).then(keys, keys);
    return () => commands.close();
  }, [commands, el]);
  useEffect(() => {
    const focused = (event: Event) => ownKeys(event.target as Element);
    el.addEventListener("focusin", focused);
    return () => el.removeEventListener("focusin", focused);
  }, [el]);
  return (
    <Context.Provider value={{ model, commands, gone }}>
      <WaitingContext.Provider value={waiting}>{children}</WaitingContext.Provider>
    </Context.Provider>
  );
}

interface View {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

/** The front-end module of a panel: each view gets its own tree, cleared when the host drops the view. */
export function panel(body: () => ComponentChildren) {
  const Body = body;
  return {
    render({ model, el, signal }: View) {
      render(
        <Root model={model} el={el}>
          <Body />
        </Root>,
        el,
      );
      const clear = () => render(null, el);
      signal?.addEventListener("abort", clear, { once: true });
      return clear;
    },
  };
}

/** An id for labels that no other panel of the page has: Preact's own counts from zero in every view. */
export function useUnique(): string {
  return useMemo(() => `hanami-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`, []);
}

/** Enter in a field submits its form; in a notebook the browser does not do it by itself. */
export function submitOnEnter(event: KeyboardEvent): void {
  const field = event.target as HTMLElement;
  if (event.key !== "Enter" || field.tagName !== "INPUT") return;
  event.preventDefault();
  field.closest("form")?.requestSubmit();
}

/** A command with what is to be seen of it: whether it is under way, and why it failed. */
export function useCommand() {
  const { commands } = usePanel();
  const [running, setRunning] = useState("");
  const [error, setError] = useState("");
  const run = async <T,>(command: string, values: object = {}, attached?: string): Promise<T | undefined> => {
    setRunning(command);
    setError("");
    try {
      return await commands.send<T>(command, values, attached);
    } catch (reason) {
      setError((reason as Error).message);
      return undefined;
    } finally {
      setRunning("");
    }
  };
  return { run, running, error, setError };
}
