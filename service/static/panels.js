/** Several pictures side by side as one to save: titles above, boxes on them, scales below. */

const HEIGHT = 720;
const GAP = 12;
const TEXT = 16;
const INK = '#282828';

/**
 * @typedef {object} Panel
 * @property {HTMLCanvasElement} picture
 * @property {string} title
 * @property {HTMLCanvasElement | null} scale null where the picture has no colours to explain
 * @property {[string, string]} ends what the scale's ends mean
 * @property {import('./api.js').Box[]} boxes
 * @property {number} imageWidth pixels that the boxes are counted in
 *
 * @param {Panel[]} panels
 * @returns {Promise<Blob>} a PNG
 */
export function drawPanels(panels) {
  const height = Math.min(HEIGHT, ...panels.map(({ picture }) => picture.height));
  const widths = panels.map(({ picture }) => Math.round((picture.width * height) / picture.height));
  const width = widths.reduce((sum, one) => sum + one + GAP, -GAP);
  const canvas = new OffscreenCanvas(width, height + 4 * TEXT);
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = 'high';
  context.font = `${TEXT}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  let left = 0;
  panels.forEach((panel, index) => {
    context.save();
    context.beginPath();
    context.rect(left, 0, widths[index], canvas.height);
    context.clip(); // a long title must not run into the next picture
    context.translate(left, 0);
    drawPanel(context, panel, widths[index], height);
    context.restore();
    left += widths[index] + GAP;
  });
  return canvas.convertToBlob({ type: 'image/png' });
}

function drawPanel(context, { picture, title, scale, ends, boxes, imageWidth }, width, height) {
  context.fillStyle = INK;
  context.fillText(title, TEXT / 2, TEXT);
  context.drawImage(picture, 0, 2 * TEXT, width, height);
  boxes.forEach((box, index) => {
    const [x, y, w, h] = [box.x, box.y, box.width, box.height].map((v) => (v * width) / imageWidth);
    drawBox(context, String(index + 1), x, y + 2 * TEXT, w, h);
  });
  if (!scale) return;
  const middle = height + 3 * TEXT;
  context.fillStyle = INK;
  context.fillText(ends[0], TEXT / 2, middle);
  const start = TEXT + context.measureText(ends[0]).width;
  context.drawImage(scale, start, middle - TEXT / 2, 0.3 * width, TEXT);
  context.fillText(ends[1], start + 0.3 * width + TEXT / 2, middle);
}

/** White in a dark edge, to be seen on any picture. */
function drawBox(context, name, x, y, width, height) {
  for (const [style, line] of [[INK, 4], ['#fff', 2]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.strokeRect(x, y, width, height);
  }
  context.fillStyle = INK;
  context.fillRect(x, y, context.measureText(name).width + TEXT, 1.4 * TEXT);
  context.fillStyle = '#fff';
  context.fillText(name, x + TEXT / 2, y + 0.7 * TEXT);
}
