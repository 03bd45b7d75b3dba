/** What is known of all photos as a table for spreadsheets (CSV, RFC 4180). */
import { hasScore } from './api.js';
import { focusOf } from './focus.js';
import { bandOf } from './band.js';

/** @typedef {import('./photos.js').Item} Item */

/**
 * @param {Item[]} items
 * @param {number[] | null} quantiles scores of everyday photos
 * @returns {string} a line a photo below the line of names
 */
export function toCsv(items, quantiles) {
  const scored = ({ prediction }) => prediction && hasScore(prediction);
  const strongest = ({ prediction }) => prediction?.saliency?.focal_points[0];
  const columns = {
    file: ({ file }) => file.name,
    score: (item) => (scored(item) ? item.prediction.score.toFixed(2) : ''),
    place_of_100: (item) =>
      scored(item) && quantiles ? bandOf(item.prediction.score, quantiles) : '',
    viewers: (item) => (scored(item) ? item.prediction.disagreement : ''),
    stars: ({ stars }) => stars || '',
    quality: ({ prediction }) => prediction?.quality?.sentence ?? '',
    busiest_tenth: ({ prediction }) => prediction?.saliency?.concentration.toFixed(3) ?? '',
    focus: ({ prediction }) => (prediction?.saliency ? focusOf(prediction.saliency) : ''),
    strongest_x: (item) => strongest(item)?.x.toFixed(0) ?? '',
    strongest_y: (item) => strongest(item)?.y.toFixed(0) ?? '',
    width: ({ prediction }) => prediction?.width ?? '',
    height: ({ prediction }) => prediction?.height ?? '',
    state: ({ state }) => state,
    reason: ({ reason }) => reason,
  };
  const lines = [Object.keys(columns), ...items.map((item) =>
    Object.values(columns).map((say) => say(item)),
  )];
  return lines.map((cells) => `${cells.map(toCell).join(',')}\r\n`).join('');
}

/** A text that a spreadsheet would take for a formula gets an apostrophe, which shows it as text. */
function toCell(value) {
  const text = String(value);
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
