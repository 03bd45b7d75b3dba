/** The Compare tab: two photos as versions of one picture, with the boxes of both. */
import { hasScore, sizeOf } from './api.js';
import { moved, paintChange, paintChangeScale } from './change.js';
import { drawDistribution } from './chart.js';
import { boxRows, comparisonRows, differences } from './compare.js';
import { find, make, percent, save, stem } from './dom.js';
import { hasColours, paintLegend } from './map.js';
import { drawPanels } from './panels.js';

/**
 * @typedef {object} Version
 * @property {import('./slot.js').Slot} slot
 * @property {import('./boxes.js').BoxEditor} editor
 * @property {import('./measuring.js').Measuring} measuring
 */

export class Versions {
  /** @param {Version} first @param {Version} second @param {import('./map.js').Look} look */
  constructor(first, second, look) {
    this.first = first;
    this.second = second;
    this.look = look;
    this.moved = null;
  }

  get areBoth() {
    return this.first.slot.photo !== null && this.second.slot.photo !== null;
  }

  /** Say and draw what differs, once both are there. */
  show() {
    const { areBoth } = this;
    find('#comparison').hidden = !areBoth;
    find('#compare-invitation').hidden = areBoth;
    if (!areBoth) return;
    const [one, two] = [this.first.slot.photo, this.second.slot.photo];
    const [a, b] = [one.prediction, two.prediction];
    const mapped = one.scene.attention !== null && two.scene.attention !== null;
    this.moved = mapped ? moved(one.scene, two.scene) : null;
    find('#change').hidden = !mapped;
    if (mapped) this.#drawChange(one, two);
    const sentences = differences(a, b, this.moved);
    find('#differences').replaceChildren(...sentences.map((text) => make('li', {}, text)));
    find('#comparison-rows').replaceChildren(...comparisonRows(a, b));
    const series = [{ ...a, name: 'A' }, { ...b, name: 'B' }];
    const scored = hasScore(a) && hasScore(b);
    find('#two-distributions').replaceChildren(...(scored ? [drawDistribution(series)] : []));
  }

  /**
   * Put the boxes that one version has and the other lacks at the same place there, to be moved.
   *
   * @param {Version} from
   */
  pairBoxes(from = this.first) {
    if (!this.areBoth) return;
    this.#lend(from, from === this.first ? this.second : this.first);
    this.showBoxes();
  }

  /**
   * Take a box out of the other version too, or the boxes behind it would get wrong partners. A
   * version with more boxes of its own keeps them.
   *
   * @param {Version} from where it has gone
   * @param {number} index
   */
  unpair(from, index) {
    const { editor } = from === this.first ? this.second : this.first;
    const hadPartners = editor.items.length === from.editor.items.length + 1;
    if (this.areBoth && hadPartners) editor.remove(editor.items[index]);
  }

  showBoxes() {
    const [before, after] = [this.first.measuring.regions, this.second.measuring.regions];
    const table = find('#both-boxes');
    table.hidden = !this.areBoth || this.first.editor.items.length === 0;
    table.toggleAttribute('aria-busy', !before || !after);
    if (before && after) find('tbody', table).replaceChildren(...boxRows(before, after));
  }

  /** Save both versions as shown, and the change, as one picture. */
  async save() {
    const versions = [this.first, this.second];
    const panels = versions.map(({ slot, editor }, index) => {
      const scale = hasColours(this.look.view) ? document.createElement('canvas') : null;
      if (scale) paintLegend(scale, this.look, slot.photo.scene.light);
      return {
        picture: slot.canvas,
        title: `${'AB'[index]}: ${slot.photo.file.name}`,
        scale,
        ends: ['less', 'more attention'],
        boxes: editor.boxes,
        imageWidth: slot.photo.prediction.width,
      };
    });
    if (this.moved !== null) {
      panels.push({
        ...panels[1],
        picture: find('#change canvas'),
        title: `B − A: ${percent(this.moved, 1)} of attention moved`,
        scale: find('#change-scale'),
        ends: ['lost', 'gained attention'],
      });
    }
    const [one, two] = versions.map(({ slot }) => stem(slot.photo.file));
    save(await drawPanels(panels), `${one}-${two}.compared.png`);
  }

  #lend(from, to) {
    const [height, width] = sizeOf(from.slot.photo.prediction);
    const [otherHeight, otherWidth] = sizeOf(to.slot.photo.prediction);
    const [down, along] = [otherHeight / height, otherWidth / width];
    from.editor.boxes.slice(to.editor.items.length).forEach((box) =>
      to.editor.add({
        x: box.x * along,
        y: box.y * down,
        width: box.width * along,
        height: box.height * down,
      }),
    );
  }

  #drawChange(one, two) {
    const canvas = find('#change canvas');
    paintChange(canvas, one.scene, two.scene);
    paintChangeScale(find('#change-scale'), two.scene.light);
    canvas.setAttribute(
      'aria-label',
      `${two.file.name} in grey, orange where it has more attention than ${one.file.name}, blue ` +
        'where it has less.',
    );
  }
}
