// How keys walk along the rows of a list.

/** The place that a key leads to from a row of the whole list; undefined for other keys. */
export function step(key: string, at: number, size: number, total: number): number | undefined {
  const to = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + size,
    PageUp: at - size,
    Home: 0,
    End: total,
  }[key];
  return to === undefined ? undefined : Math.min(Math.max(to, 0), total - 1);
}
