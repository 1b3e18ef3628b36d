/**
 * Chance that can be repeated: what a random test chose comes back with the seed that its failure prints.
 */

/** Mulberry32: a small generator whose whole state is the seed that a failure prints. */
export function createRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { chance: (probability) => next() < probability, pick: (list) => list[Math.floor(next() * list.length)] };
}
