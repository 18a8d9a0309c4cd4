// A small curve without axes, for a rate over the last seconds.

/** Points of a polyline through the values, from left to right, zero at the bottom. */
export function points(values: number[], width: number, height: number): string {
  const top = Math.max(...values, 1e-9) * 1.2;
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  return values
    .map((value, i) => `${(i * step).toFixed(1)},${(height - (value / top) * height).toFixed(1)}`)
    .join(" ");
}

export function Curve({ values, label }: { values: number[]; label: string }) {
  if (values.length < 2) return null;
  const line = points(values, 60, 12);
  return (
    <svg class="hanami-curve" viewBox="-1 -1 62 14" width="62" height="14" role="img" aria-label={label}>
      <polygon points={`0,12 ${line} 60,12`} />
      <polyline points={line} />
    </svg>
  );
}
