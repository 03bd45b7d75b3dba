/** The distribution of scores as a bar chart, for one photo or two beside each other. */
import { makeSvg, percent } from './dom.js';

const WIDTH = 360;
const HEIGHT = 152;
const TOP = 40; // room for the mean and its spread
const BOTTOM = 24; // room for the scores 1..10
const STEP = WIDTH / 10;

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {number} score
 * @property {number} score_std
 * @property {string} disagreement
 * @property {number[]} score_distribution
 */

/**
 * @param {Series[]} series one or two
 * @returns {SVGElement} an image with a text alternative
 */
export function drawDistribution(series) {
  const highest = Math.max(...series.flatMap((one) => one.score_distribution));
  const baseline = makeSvg('line', {
    class: 'baseline', x1: 0, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM,
  });
  return makeSvg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', class: 'chart' },
    makeSvg('title', {}, series.map(describe).join(' ')),
    ...series.flatMap((one, index) => bars(one, index, series.length, highest)),
    baseline,
    ...Array.from({ length: 10 }, (_, i) =>
      makeSvg('text', { class: 'tick', x: (i + 0.5) * STEP, y: HEIGHT - 7 }, String(i + 1)),
    ),
    ...series.map((one, index) => mean(one, index, series.length)),
  );
}

/** @param {Series} series */
function describe({ name, score, disagreement, score_distribution: votes }) {
  const list = votes.map((share, i) => `${i + 1}: ${percent(share)}`).join(', ');
  return (
    `${name}: mean score ${score.toFixed(1)} of 10; ${disagreement}. ` +
    `Expected votes: ${list}.`
  );
}

function bars({ score_distribution: votes }, index, count, highest) {
  const width = (STEP - 8) / count;
  return votes.map((share, i) => {
    const height = (share / highest) * (HEIGHT - TOP - BOTTOM);
    const x = i * STEP + 4 + index * width;
    const y = HEIGHT - BOTTOM - height;
    return makeSvg(
      'rect',
      { class: `bar series-${index}`, x, y, width: width - (count > 1 ? 1 : 0), height, rx: 2 },
      makeSvg('title', {}, `${i + 1}: ${percent(share, 1)}`),
    );
  });
}

/** The mean as a line through the bars, mean ± one standard deviation as a bar above them. */
function mean({ score, score_std: spread }, index, count) {
  const at = (value) => Math.min(WIDTH - 1, Math.max(1, (value - 0.5) * STEP));
  const y = count > 1 ? 12 + index * 16 : 26;
  const group = makeSvg(
    'g',
    { class: `mean series-${index}` },
    makeSvg('line', { x1: at(score - spread), x2: at(score + spread), y1: y, y2: y }),
    makeSvg('line', { x1: at(score - spread), x2: at(score - spread), y1: y - 4, y2: y + 4 }),
    makeSvg('line', { x1: at(score + spread), x2: at(score + spread), y1: y - 4, y2: y + 4 }),
    makeSvg('line', { class: 'line', x1: at(score), x2: at(score), y1: y, y2: HEIGHT - BOTTOM }),
    makeSvg('circle', { cx: at(score), cy: y, r: 4 }),
  );
  if (count === 1) {
    const label = `mean ${score.toFixed(1)}`;
    const x = Math.min(WIDTH - 48, Math.max(48, at(score)));
    group.append(makeSvg('text', { class: 'label', x, y: 12 }, label));
  }
  return group;
}
