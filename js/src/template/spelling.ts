// Which known name somebody probably meant; the same rule as hanami_jupyter/protocol/spelling.py.

/** Return the known name that is at most two letters away, if there is one; a swap counts one. */
export function nearest<Name extends string>(name: string, known: readonly Name[]): Name | undefined {
  const allowed = Math.min(2, Math.floor(name.length / 3));
  let [best, found]: [number, Name | undefined] = [allowed + 1, undefined];
  for (const other of known) {
    if (Math.abs(name.length - other.length) > allowed) continue;
    const steps = distance(name, other);
    if (steps < best) [best, found] = [steps, other];
  }
  return found;
}

function distance(one: string, other: string): number {
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, j) => j);
  for (let i = 1; i <= one.length; i++) {
    const earlier = before;
    before = row;
    row = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      let cost = Math.min(
        (before[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (before[j - 1] as number) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) {
        cost = Math.min(cost, (earlier[j - 2] as number) + 1);
      }
      row.push(cost);
    }
  }
  return row[other.length] as number;
}
