// A button whose act cannot be undone: it asks in its place, and names what it destroys.
import { useEffect, useRef, useState } from "preact/hooks";
import { Notice, useCommand, usePanel } from "./panel";

interface AskProps {
  /** The verb on the button, and on the one that confirms. */
  verb: string;
  /** What it acts on, for the button's name where several look alike. */
  what?: string;
  /** What is shown while it goes on: "Deleting". */
  doing: string;
  /** Names what is destroyed: "Delete dataset 'digits'? Its 60,000 rows are gone then." */
  question: string;
  /** The button that does nothing. */
  keep: string;
  command: string;
  values: object;
  done?: () => void;
}

export function Ask({ verb, what, doing, question, keep, command, values, done }: AskProps) {
  const { gone } = usePanel();
  const { run, running, error } = useCommand();
  const [asking, setAsking] = useState(false);
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (asking) close.current?.focus();
  }, [asking]);
  const act = async () => {
    setAsking(false);
    if ((await run(command, values)) !== undefined) done?.();
  };
  return (
    <>
      {!asking && (
        <button
          type="button"
          disabled={gone || running !== ""}
          {...(what ? { "aria-label": `${verb} ${what}` } : {})}
          onClick={() => setAsking(true)}
        >
          {running ? doing : verb}
        </button>
      )}
      {asking && (
        <fieldset class="hanami-ask" onKeyDown={(event) => event.key === "Escape" && setAsking(false)}>
          <legend>{question}</legend>
          <button type="button" disabled={gone} onClick={act}>
            {verb}
          </button>
          <button type="button" ref={close} onClick={() => setAsking(false)}>
            {keep}
          </button>
        </fieldset>
      )}
      {error && <Notice text={error} />}
    </>
  );
}
