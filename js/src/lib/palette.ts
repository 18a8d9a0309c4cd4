// Colours of data: the same file that the matplotlib figures read.
import palette from "../../../hanami_jupyter/palette.json";

export const categories: string[] = palette.categories;
/** The colours of a quantity, from the least to the most. */
export const quantities: string[] = palette.quantities;

/** The colours of a category, the black one left out: it cannot be seen on a dark ground. */
export function category(index: number): string {
  return categories[index % (categories.length - 1)] as string;
}

function parts(hex: string): number[] {
  return [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16));
}

/** A colour of viridis for a share 0..1. */
export function quantity(value: number): [number, number, number] {
  const place = Math.min(Math.max(value, 0), 1) * (quantities.length - 1);
  const low = Math.min(Math.floor(place), quantities.length - 2);
  const [from, to] = [parts(quantities[low] as string), parts(quantities[low + 1] as string)];
  return from.map((start, i) => Math.round(start + ((to[i] as number) - start) * (place - low))) as [
    number,
    number,
    number,
  ];
}

/** Brightness as the eye weighs it (WCAG 2), 0 to 1. */
export function luminance(colour: number[]): number {
  const [red, green, blue] = colour.map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** The text colour that can be read on a ground. */
export function readable(ground: number[]): string {
  return luminance(ground) > 0.179 ? "#000" : "#fff";
}

/** Ground and text of a cell that counts mistakes, on a logarithmic scale; the text is the readable one. */
export function shade(count: number, most: number): { background: string; color: string } {
  const ground = quantity(Math.log(count / 0.8) / Math.log(most / 0.8));
  return {
    background: `rgb(${ground.join(",")})`,
    color: readable(ground),
  };
}

/** A cell that is no mistake. */
export const onMuted = { color: "var(--hanami-quiet)" };
