// How hexagons are drawn: where each stands, and its shape and colours.
import "./hexagons.css";
import type { Position } from "../template/parse";

export const RADIUS = 26;
const STEP = RADIUS * Math.sqrt(3) * 1.12;
const [SLANT, SQUASH] = [0.3, 0.5]; // of a layer in a stack, seen from the side

export type Point = [number, number];

/** The middle of a hexagon in its layer: odd rows stand half a step to the right. */
export function centre([x, y]: Position): Point {
  const odd = ((y % 2) + 2) % 2;
  return [(x + 0.5 * odd) * STEP, y * STEP * 0.866];
}

/** The middle of a hexagon in a small picture, whose layers lie close above each other. */
export function lifted(place: Position): Point {
  const [x, y] = centre(place);
  return [x, y - 14 * place[2]];
}

/** How places are drawn: one layer flat, several as an isometric stack whose layers do not cover each other. */
export function projection(places: Position[]): { at: (place: Position) => Point; shape: string } {
  const stacked = new Set(places.map(([, , z]) => z)).size > 1;
  if (!stacked) return { at: centre, shape: "1 0 0 1" };
  const heights = places.map((place) => centre(place)[1]);
  const lift = (Math.max(...heights) - Math.min(...heights) + 2 * RADIUS) * SQUASH + 16;
  const at = (place: Position): Point => {
    const [x, y] = centre(place);
    return [x - SLANT * y, SQUASH * y - lift * place[2]];
  };
  return { at, shape: `1 0 ${-SLANT} ${SQUASH}` };
}

export const corners = Array.from({ length: 6 }, (_, i) => {
  const angle = (Math.PI / 3) * i + Math.PI / 6;
  return `${(RADIUS * Math.cos(angle)).toFixed(2)},${(RADIUS * Math.sin(angle)).toFixed(2)}`;
}).join(" ");
