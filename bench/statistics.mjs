/**
 * The few statistics that the benchmark uses.
 */
/**
 * The middle of the values, or the mean of the two in the middle.
 *
 * @param {number[]} values at least one
 * @returns {number}
 */
export function median(values) {
  return percentile(values, 0.5);
}

/**
 * The value below which the share `rank` of the values lies, interpolated between neighbours.
 *
 * @param {ArrayLike<number>} values at least one
 * @param {number} rank between 0 and 1
 * @returns {number}
 */
export function percentile(values, rank) {
  if (values.length === 0) throw new RangeError("no values to take a percentile of");
  const sorted = Float64Array.from(values).sort();
  const position = (sorted.length - 1) * rank;
  const below = Math.floor(position);
  const above = Math.ceil(position);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}

/**
 * The smallest and the largest of the values.
 *
 * @param {number[]} values at least one
 * @returns {{ min: number, max: number }}
 */
export function spread(values) {
  return { min: Math.min(...values), max: Math.max(...values) };
}
