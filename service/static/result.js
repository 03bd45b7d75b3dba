/** The result tab: score, distribution, figures of attention. */
import { drawDistribution } from './chart.js';
import { fileSize, find, percent } from './dom.js';
import { focalRows } from './focal.js';

/** @param {import('./slot.js').Photo} photo */
export function showResult({ file, scene, prediction }) {
  const [height, width] = prediction.image_size;
  const seconds = (prediction.timings.total_ms / 1000).toFixed(1);
  const facts = [`${width} × ${height}`, fileSize(file.size), `${seconds} s on ${prediction.device}`];
  if (!scene.shown) facts.push('this browser cannot show the format, only the overlay has the photo');
  find('#photo-name').textContent = file.name;
  find('#photo-facts').textContent = facts.join(' · ');
  showScore(prediction, file.name);
  showAttention(prediction);
}

function showScore({ score, score_std: spread, score_distribution: votes }, name) {
  find('#beauty').hidden = score === null;
  if (score === null) return;
  find('#score').textContent = score.toFixed(1);
  find('#spread').textContent = `± ${spread.toFixed(1)} between viewers`;
  const series = { name, score, score_std: spread, score_distribution: votes };
  find('#distribution').replaceChildren(drawDistribution([series]));
}

function showAttention(prediction) {
  const { saliency } = prediction;
  find('#attention').hidden = saliency === null;
  if (saliency === null) return;
  setMeter(find('#concentration'), percent(saliency.concentration), saliency.concentration);
  setMeter(find('#entropy'), saliency.entropy.toFixed(2), saliency.entropy);
  find('#focal-rows').replaceChildren(...focalRows(prediction));
}

function setMeter(figure, text, value) {
  figure.textContent = text;
  figure.nextElementSibling.value = value;
}
