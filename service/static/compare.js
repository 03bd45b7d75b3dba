/** Two predictions side by side: figures, and what differs in words. */
import { make, percent } from './dom.js';
import { placeInWords } from './focal.js';

/** Differences below these are nothing to speak of: another crop of a photo moves them as much. */
const SAME = { score: 0.2, concentration: 0.03, share: 0.03 };

/**
 * @typedef {import('./api.js').Prediction} Prediction
 * @param {Prediction} a
 * @param {Prediction} b
 * @returns {string[]} sentences that call the photos A and B
 */
export function differences(a, b) {
  const sentences = [];
  if (a.score !== null && b.score !== null) sentences.push(compareScores(a, b));
  if (a.saliency && b.saliency) {
    sentences.push(compareConcentration(a.saliency, b.saliency));
    if (a.saliency.focal_points.length && b.saliency.focal_points.length) {
      sentences.push(compareFocalPoints(a, b));
    }
  }
  return sentences;
}

/** @param {Prediction} a @param {Prediction} b @returns {HTMLElement[]} table rows */
export function comparisonRows(a, b) {
  const figure = (value, say) => (value === null || value === undefined ? '–' : say(value));
  const fixed = (digits) => (value) => value.toFixed(digits);
  const strongest = (prediction) => prediction.saliency?.focal_points[0];
  const describe = (prediction) =>
    figure(strongest(prediction), (point) =>
      `${percent(point.share)}, ${placeInWords(point, prediction.image_size)}`,
    );
  const rows = [
    ['Score', (p) => figure(p.score, fixed(1))],
    ['Spread of votes', (p) => figure(p.score_std, fixed(1))],
    ['In the busiest tenth', (p) => figure(p.saliency?.concentration, percent)],
    ['Entropy', (p) => figure(p.saliency?.entropy, fixed(2))],
    ['Strongest point', describe],
    ['Size', ({ image_size: [height, width] }) => `${width} × ${height}`],
  ];
  return rows.map(([name, say]) =>
    make(
      'tr',
      {},
      make('th', { scope: 'row' }, name),
      make('td', { class: 'number' }, say(a)),
      make('td', { class: 'number' }, say(b)),
    ),
  );
}

function compareScores(a, b) {
  const difference = b.score - a.score;
  if (Math.abs(difference) < SAME.score) return 'Both photos score about the same.';
  const [higher, lower] = difference > 0 ? ['B', 'A'] : ['A', 'B'];
  const spread = (a.score_std + b.score_std) / 2;
  const size = Math.abs(difference);
  const weight =
    size < spread / 4
      ? `little beside the ${spread.toFixed(1)} by which votes on one photo differ`
      : `votes on one photo differ by about ${spread.toFixed(1)}`;
  return `${higher} scores ${size.toFixed(1)} higher than ${lower}; ${weight}.`;
}

function compareConcentration(a, b) {
  const difference = b.concentration - a.concentration;
  if (Math.abs(difference) < SAME.concentration) {
    return 'Attention is about equally concentrated in both.';
  }
  const [tighter, other, high, low] =
    difference > 0
      ? ['B', 'A', b.concentration, a.concentration]
      : ['A', 'B', a.concentration, b.concentration];
  return (
    `Attention is more concentrated in ${tighter}: a tenth of its area holds ${percent(high)}, ` +
    `in ${other} ${percent(low)}.`
  );
}

function compareFocalPoints(a, b) {
  const [first, second] = [a, b].map((p) => p.saliency.focal_points[0]);
  const places = [placeInWords(first, a.image_size), placeInWords(second, b.image_size)];
  const where =
    places[0] === places[1]
      ? `Both are looked at most in the same place (${places[0]})`
      : `A is looked at most at the ${places[0]}, B at the ${places[1]}`;
  const same = Math.abs(first.share - second.share) < SAME.share;
  return same
    ? `${where}, with about the same share.`
    : `${where}; that point holds ${percent(first.share)} in A and ${percent(second.share)} in B.`;
}
