// A button that copies a text, and uuids shortened to what the eye can tell apart.
import { useEffect, useState } from "preact/hooks";

/** Put a text on the clipboard; pages without a safe address have only the old way. */
export async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

interface CopyProps {
  text: string;
  /** What is copied, for the button's name: "uuid of digits". */
  what: string;
  /** Shown beside the sign. */
  label?: string;
  tabIndex?: number;
}

export function Copy({ text, what, label = "", tabIndex }: CopyProps) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    const timer = copied ? setTimeout(() => setCopied(false), 1500) : undefined;
    return () => clearTimeout(timer);
  }, [copied]);
  const click = (event: Event) => {
    event.stopPropagation(); // a click on the row selects it
    copy(text).then(
      () => setCopied(true),
      () => {},
    );
  };
  return (
    <button
      type="button"
      class="hanami-copy"
      aria-label={copied ? "Copied" : `Copy ${what}`}
      title={`Copy ${what}`}
      tabIndex={tabIndex}
      onClick={click}
    >
      {copied ? (
        "✓"
      ) : (
        <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
          <path d="M4 3.5h6.5v8H4zM1.5 8.5v-8H8" />
        </svg>
      )}
      {label && ` ${label}`}
    </button>
  );
}

export function Uuid({ value, of, tabIndex }: { value: string; of: string; tabIndex?: number }) {
  return (
    <span class="hanami-uuid">
      <code title={value}>{value.slice(0, 8)}</code>{" "}
      <Copy text={value} what={`uuid of ${of}`} {...(tabIndex === undefined ? {} : { tabIndex })} />
    </span>
  );
}
