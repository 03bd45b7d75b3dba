/** Which view of the photo is shown, how strong and in which colours: controls and what they set. */
import { COLOR_MAPS } from './colormaps.js';
import { find, make } from './dom.js';
import { hasColours, paintLegend } from './map.js';

/** How strong each view begins, and what it shows. */
const VIEWS = {
  overlay: { strength: 90, hint: 'The photo glows where people look.' },
  heat: { strength: 100, hint: 'How attention is spread over the photo.' },
  fog: { strength: 100, hint: 'Only what is looked at in the first seconds is clear.' },
  focal: {
    strength: 70,
    hint: 'Circles sized by share of attention; people will probably look at 1 first.',
  },
};

/**
 * @param {() => void} onChange
 * @param {() => void} onSlide likewise, many times while a slider moves
 * @returns {{look: import('./map.js').Look, show: (light: boolean) => void}} what is chosen, and a
 *   function that shows the choice beside a photo, which may be a light one
 */
export function makeViews(onChange, onSlide) {
  const strengths = Object.fromEntries(
    Object.entries(VIEWS).map(([view, { strength }]) => [view, strength]),
  );
  const look = { view: 'overlay', colors: COLOR_MAPS[0], strength: strengths.overlay / 100 };
  for (const name of COLOR_MAPS) {
    find('#colors').append(make('option', { value: name }, name[0].toUpperCase() + name.slice(1)));
  }
  find('#colors').addEventListener('change', (event) => {
    look.colors = event.target.value;
    onChange();
  });
  find('#views').addEventListener('change', (event) => {
    look.view = event.target.value;
    look.strength = strengths[look.view] / 100;
    onChange();
  });
  find('#strength').addEventListener('input', (event) => {
    strengths[look.view] = Number(event.target.value);
    look.strength = strengths[look.view] / 100;
    onSlide();
  });
  const show = (light) => {
    const coloured = hasColours(look.view);
    find('#colors-field').hidden = !coloured;
    find('#legend').hidden = !coloured;
    find('#view-hint').textContent = VIEWS[look.view].hint;
    find('#strength').value = strengths[look.view];
    paintLegend(find('#legend canvas'), look, light);
  };
  return { look, show };
}
