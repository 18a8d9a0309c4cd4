// What a panel did, as Python and as a command, each with a button that copies it.
import { Copy } from "./copy";

export function Recipe({ python, shell }: { python: string; shell: string }) {
  return (
    <details class="hanami-recipe">
      <summary>As code</summary>
      <Lines name="Python" text={python} />
      {shell && <Lines name="Shell" text={shell} />}
    </details>
  );
}

function Lines({ name, text }: { name: string; text: string }) {
  return (
    <div>
      <header>
        <span>{name}</span>
        <Copy text={text} what={`the ${name} lines`} label="Copy" />
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls long lines */}
      <pre tabIndex={0}>{text}</pre>
    </div>
  );
}
