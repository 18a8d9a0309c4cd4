// How hexagons are drawn: where each stands, and its shape and colours.
import "./hexagons.css";
import type { Position } from "../template/parse";

export const RADIUS = 26;
const STEP = RADIUS * Math.sqrt(3) * 1.12;
const LIFT = 14;

/** The middle of a hexagon: odd rows stand half a step to the right, other layers a little higher or lower. */
export function centre([x, y, z]: Position, layer: number): [number, number] {
  const odd = ((y % 2) + 2) % 2;
  return [(x + 0.5 * odd) * STEP, y * STEP * 0.866 - (z - layer) * LIFT];
}

export const corners = Array.from({ length: 6 }, (_, i) => {
  const angle = (Math.PI / 3) * i + Math.PI / 6;
  return `${(RADIUS * Math.cos(angle)).toFixed(2)},${(RADIUS * Math.sin(angle)).toFixed(2)}`;
}).join(" ");
