/** Focal points: circles on the canvas, rows of a table, and where they are in words. */
import { sizeOf } from './api.js';
import { make, percent } from './dom.js';

/**
 * Draw circles whose areas are the points' shares.
 *
 * @param {HTMLCanvasElement} canvas already painted
 * @param {import('./api.js').Prediction} prediction
 */
export function drawFocalPoints(canvas, prediction) {
  const context = canvas.getContext('2d');
  const scale = canvas.width / prediction.width;
  const pixel = canvas.width / canvas.clientWidth; // canvas pixels in one pixel of the page
  const unit = 0.16 * Math.max(canvas.width, canvas.height);
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  prediction.saliency.focal_points.forEach(({ x, y, share, rank }) => {
    const radius = Math.max(18 * pixel, unit * Math.sqrt(share));
    drawCircle(context, x * scale, y * scale, radius, pixel);
    const font = (size) => `600 ${size * pixel}px system-ui, sans-serif`;
    drawText(context, String(rank), x * scale, y * scale - 7 * pixel, font(15), pixel);
    drawText(context, percent(share), x * scale, y * scale + 8 * pixel, font(12), pixel);
  });
}

/**
 * @param {import('./api.js').Prediction} prediction
 * @returns {HTMLElement[]} table rows
 */
export function focalRows(prediction) {
  return prediction.saliency.focal_points.map((point) =>
    make(
      'tr',
      {},
      make('th', { scope: 'row' }, String(point.rank)),
      make('td', { class: 'number' }, percent(point.share)),
      make('td', {}, placeInWords(point, sizeOf(prediction))),
      make('td', { class: 'number' }, `${Math.round(point.x)}, ${Math.round(point.y)}`),
    ),
  );
}

/** @param {import('./api.js').Point} point @param {[number, number]} imageSize height, width */
export function placeInWords({ x, y }, [height, width]) {
  const third = (value, size, names) => names[Math.min(2, Math.floor((value / size) * 3))];
  const row = third(y, height, ['top', '', 'bottom']);
  const column = third(x, width, ['left', '', 'right']);
  return `${row} ${column}`.trim() || 'centre';
}

function drawCircle(context, x, y, radius, pixel) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = 'rgb(255 255 255 / 18%)';
  context.fill();
  // White on black, so that the ring stands out on any photo.
  for (const [style, width] of [['rgb(0 0 0 / 55%)', 5], ['#fff', 2]]) {
    context.strokeStyle = style;
    context.lineWidth = width * pixel;
    context.stroke();
  }
}

function drawText(context, text, x, y, font, pixel) {
  context.font = font;
  context.lineJoin = 'round';
  context.strokeStyle = 'rgb(0 0 0 / 70%)';
  context.lineWidth = 3 * pixel;
  context.strokeText(text, x, y);
  context.fillStyle = '#fff';
  context.fillText(text, x, y);
}
