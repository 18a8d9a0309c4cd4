// The curves of a result: one column at a time, its rows from left to right.
import { useEffect, useState } from "preact/hooks";
import { count } from "../lib/format";
import { type Line, Lines } from "../lib/lines";
import { category } from "../lib/palette";
import { Notice, usePanel, useUnique } from "../lib/panel";

interface Curves {
  columns: string[];
  column: string;
  rows: number;
  lines: Line[];
  more: number;
}

export function Plot({ selected }: { selected: string }) {
  const { commands, gone } = usePanel();
  const [curves, setCurves] = useState<Curves | null>(null);
  const [column, setColumn] = useState("");
  const [error, setError] = useState("");
  const id = useUnique();
  useEffect(() => {
    let wanted = true;
    commands.send<Curves>("plot", { key: selected, column }).then(
      (found) => wanted && setCurves(found),
      (reason: Error) => wanted && setError(reason.message),
    );
    return () => {
      wanted = false;
    };
  }, [commands, selected, column]);
  if (error) return <Notice text={error} />;
  if (!curves) return <p class="hanami-quiet">Fetching…</p>;
  if (!curves.columns.length) return null;
  return (
    <figure class="hanami-plot">
      <figcaption>
        {curves.columns.length > 1 && (
          <>
            <label for={id}>Column</label>{" "}
            <select
              id={id}
              value={curves.column}
              disabled={gone}
              onChange={(event) => setColumn(event.currentTarget.value)}
            >
              {curves.columns.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </>
        )}
        {curves.lines.map(({ name }, i) => (
          <span key={name}>
            <span class="hanami-key" style={{ background: category(i) }} /> {name}
          </span>
        ))}
        {curves.more > 0 && <span class="hanami-quiet">and {count(curves.more)} more</span>}
      </figcaption>
      <Lines
        lines={curves.lines}
        label={`${curves.column} over ${count(curves.rows)} rows`}
        ends={["row 0", `row ${count(Math.max(curves.rows - 1, 0))}`]}
      />
    </figure>
  );
}
