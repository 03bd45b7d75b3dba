/** Two predictions side by side: figures, and what differs in words. */
import { hasScore, sizeOf } from './api.js';
import { make, percent, signed } from './dom.js';
import { placeInWords } from './focal.js';
import { focusOf } from './focus.js';

/** Differences below these are nothing to speak of: another crop of a photo moves them as much. */
const SAME = { score: 0.2, focus: 3, share: 0.03 };

/**
 * @typedef {import('./api.js').Prediction} Prediction
 * @typedef {import('./api.js').Region} Region
 * @param {Prediction} a
 * @param {Prediction} b
 * @param {number | null} moved share of attention that is elsewhere in B
 * @returns {string[]} sentences that call the photos A and B
 */
export function differences(a, b, moved) {
  const sentences = [];
  if (moved !== null) sentences.push(`${percent(moved, 1)} of attention moved.`);
  if (hasScore(a) && hasScore(b)) sentences.push(compareScores(a, b));
  if (a.saliency && b.saliency) {
    sentences.push(compareFocus(a.saliency, b.saliency));
    if (a.saliency.focal_points.length && b.saliency.focal_points.length) {
      sentences.push(compareFocalPoints(a, b));
    }
  }
  return sentences;
}

/** @param {Prediction} a @param {Prediction} b @returns {HTMLElement[]} table rows */
export function comparisonRows(a, b) {
  const figure = (value, say) => (value === null || value === undefined ? '–' : say(value));
  const strongest = (prediction) => prediction.saliency?.focal_points[0];
  const describe = (prediction) =>
    figure(strongest(prediction), (point) =>
      `${percent(point.share)}, ${placeInWords(point, sizeOf(prediction))}`,
    );
  const rows = [
    ['Score', (p) => (hasScore(p) ? p.score.toFixed(1) : '–')],
    ['Viewers', (p) => (hasScore(p) ? p.disagreement : '–')],
    ['Focus', (p) => figure(p.saliency, (saliency) => String(focusOf(saliency)))],
    ['In the busiest tenth', (p) => figure(p.saliency?.concentration, percent)],
    ['Strongest point', describe],
    ['Size', ({ width, height }) => `${width} × ${height}`],
  ];
  return rows.map(([name, say]) => toRow(name, say(a), say(b)));
}

/**
 * @param {Region[]} before
 * @param {Region[]} after in the same order
 * @returns {HTMLElement[]} table rows
 */
export function boxRows(before, after) {
  return before.slice(0, after.length).map(({ share }, index) => {
    const { share: other } = after[index];
    const change = signed((other - share) * 100);
    return toRow(String(index + 1), percent(share, 1), percent(other, 1), change);
  });
}

function toRow(name, ...cells) {
  const filled = cells.map((text) => make('td', { class: 'number' }, text));
  return make('tr', {}, make('th', { scope: 'row' }, name), ...filled);
}

function compareScores(a, b) {
  const difference = b.score - a.score;
  if (Math.abs(difference) < SAME.score) return 'Both photos score about the same.';
  const [higher, lower] = difference > 0 ? ['B', 'A'] : ['A', 'B'];
  const spread = (a.score_std + b.score_std) / 2;
  const size = Math.abs(difference);
  const little = size < spread / 4 ? ', little beside how much viewers of one photo differ' : '';
  return `${higher} scores ${size.toFixed(1)} higher than ${lower}${little}.`;
}

function compareFocus(a, b) {
  const [first, second] = [focusOf(a), focusOf(b)];
  if (Math.abs(second - first) < SAME.focus) return 'Attention is about equally gathered in both.';
  const [tighter, other, high, low] =
    second > first
      ? ['B', 'A', b.concentration, a.concentration]
      : ['A', 'B', a.concentration, b.concentration];
  return (
    `Attention is more gathered in ${tighter}: its busiest tenth holds ${percent(high)}, ` +
    `that of ${other} ${percent(low)}.`
  );
}

function compareFocalPoints(a, b) {
  const [first, second] = [a, b].map((p) => p.saliency.focal_points[0]);
  const places = [placeInWords(first, sizeOf(a)), placeInWords(second, sizeOf(b))];
  const where =
    places[0] === places[1]
      ? `Both are looked at most in the same place (${places[0]})`
      : `A is looked at most at the ${places[0]}, B at the ${places[1]}`;
  const same = Math.abs(first.share - second.share) < SAME.share;
  return same
    ? `${where}, with about the same share.`
    : `${where}; that point holds ${percent(first.share)} in A and ${percent(second.share)} in B.`;
}
