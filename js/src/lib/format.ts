// Numbers, times and identifiers as the panels write them.

/** 41200 → "41,200". */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** A number in at most four letters: "950", "1.2k", "35k", "2.1M". */
export function compact(value: number): string {
  return value
    .toLocaleString("en-US", { notation: "compact", maximumSignificantDigits: 2 })
    .replace("K", "k");
}

/** A time span with the unit that reads best: "3 ms", "0.2 s", "41 s", "3 min 5 s", "2 h 10 min". */
export function span(seconds: number): string {
  if (seconds < 0.095) return `${Math.ceil(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  const minutes = Math.round(seconds / 60);
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

/** A share as a whole percent that says 100 only when all is done. */
export function percent(share: number): number {
  return Math.min(Math.max(Math.floor(share * 100 + 1e-9), 0), 100);
}

/** A share of right answers, one decimal: "97.6 %". */
export function share(value: number): string {
  return `${(value * 100).toFixed(1)} %`;
}

/** A time since 1970 in ms, in local and short form: "24 Nov 08:55", in another year "24 Nov 2025". */
export function moment(time: number, now = Date.now()): string {
  const date = new Date(time);
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  if (date.getFullYear() !== new Date(now).getFullYear()) return `${day} ${date.getFullYear()}`;
  return `${day} ${date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`;
}
