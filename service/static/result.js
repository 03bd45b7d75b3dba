/** The result tab: score, distribution, figures of attention. */
import { hasScore } from './api.js';
import { bandInWords, bandOf } from './band.js';
import { drawDistribution } from './chart.js';
import { fileSize, find, percent } from './dom.js';
import { focalRows } from './focal.js';
import { focusOf, usualFocus } from './focus.js';

/**
 * @param {import('./slot.js').Photo} photo
 * @param {number[] | null} quantiles scores of everyday photos, if the service knows them
 */
export function showResult({ file, scene, prediction }, quantiles) {
  const { width, height } = prediction;
  const seconds = (prediction.timings.total_ms / 1000).toFixed(1);
  const facts = [`${width} × ${height}`, fileSize(file.size), `${seconds} s on ${prediction.device}`];
  if (!scene.shown) facts.push('this browser cannot show the format, only the overlay has the photo');
  find('#photo-name').textContent = file.name;
  find('#photo-facts').textContent = facts.join(' · ');
  showScore(prediction, file.name, quantiles);
  showQuality(prediction);
  showAttention(prediction, scene.light);
}

function showScore(prediction, name, quantiles) {
  find('#beauty').hidden = !hasScore(prediction);
  if (!hasScore(prediction)) return;
  const { score, score_std: spread, score_distribution: votes, disagreement } = prediction;
  find('#band').hidden = !quantiles;
  find('#band').textContent = quantiles ? bandInWords(bandOf(score, quantiles)) : '';
  find('#score').textContent = score.toFixed(1);
  find('#spread').textContent = disagreement;
  const series = { name, score, score_std: spread, score_distribution: votes, disagreement };
  find('#distribution').replaceChildren(drawDistribution([series]));
}

/** What is wrong technically, or that there is nothing to see; a sound photo needs no words. */
function showQuality({ quality }) {
  find('#quality').hidden = !quality?.flaws;
  find('#quality').textContent = quality?.sentence ?? '';
}

function showAttention(prediction, light) {
  const { saliency, model } = prediction;
  find('#attention').hidden = saliency === null;
  if (saliency === null) return;
  const focus = focusOf(saliency);
  find('#focus').textContent = String(focus);
  find('#focus-meter').value = focus;
  find('#focus-usual').textContent = usualFocus(model.version, light);
  find('#concentration').textContent = percent(saliency.concentration);
  find('#focal-rows').replaceChildren(...focalRows(prediction));
}
