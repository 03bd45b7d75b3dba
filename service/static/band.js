/** Where a score stands among everyday photos, since a number of 1..10 alone says little. */

const STEP = 5; // finer places would pretend to know

/**
 * @param {number} score
 * @param {number[]} quantiles scores of everyday photos: the lowest, ..., the highest, in even steps
 * @returns {number} 1 the most beautiful of 100 .. 100, in steps of five between
 */
export function bandOf(score, quantiles) {
  const above = quantiles.findIndex((quantile) => quantile > score);
  let below = above < 0 ? quantiles.length - 1 : Math.max(0, above - 1);
  if (above > 0) {
    below += (score - quantiles[below]) / (quantiles[above] - quantiles[below]);
  }
  const place = 100 - (below / (quantiles.length - 1)) * 100;
  return Math.min(100, Math.max(1, Math.round(place / STEP) * STEP));
}

/** @param {number} place of `bandOf` @returns {string} */
export function bandInWords(place) {
  if (place <= 1) return 'Among the first of 100 everyday photos';
  if (place >= 100) return 'Among the last of 100 everyday photos';
  return `Around the ${place}th of 100 everyday photos`;
}
