/**
 * Perceptually uniform colour maps: equal steps of attention look equal, lightness only grows, so
 * they survive a grey print and colour-blind eyes. Rainbows draw borders where the map has none.
 *
 * Every fifth colour of matplotlib's tables (CC0), interpolated in between.
 */
const SAMPLES = {
  inferno:
    '00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e' +
    '61136e69166e71196e781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4d' +
    'cc4248d34743d94d3ddf5337e45a31e9612bed6925f1711ff47918f78212f98b0bfa9407fb9d07fca60c' +
    'fcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4',
  magma:
    '00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a107952137c' +
    '5a167e6219806a1c81721f81792282812581892881912b81992d80a1307eaa337db2357bba3878c23b75' +
    'ca3e72d2426fd9466be04c67e75263ec5860f1605df4695cf7725cf97b5dfb8560fc8e64fd9869fea16e' +
    'feaa74feb47bfebd82fec68afecf92fed89afde2a3fdebacfcf4b6fcfdbf',
  viridis:
    '44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b' +
    '38598c355e8d33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b' +
    '1e9c891fa18821a58524aa8328ae802eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd250' +
    '89d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725',
  cividis:
    '00224e002656002a5f002d68003070083370163770203a6f273e6e2e416d34456c3a486c3f4c6c444f6c' +
    '49536c4e566c535a6d575d6d5c616e60646f656870696b716d6f727272747676767a7a787e7d78838179' +
    '8885788d8878928c789690779b9476a09875a59c74aaa073afa471b5a86fbaac6dbfb06bc4b468c9b965' +
    'cfbd62d4c15fdac65bdfca57e5cf52ead34cf0d846f6dd3ffce236fee838',
};

const STEP = 5;

/** Names to choose from; the first is the one that the service itself renders with. */
export const COLOR_MAPS = Object.keys(SAMPLES);

/**
 * @param {string} name one of `COLOR_MAPS`
 * @returns {Uint8Array} 256 colours of three bytes: red, green, blue
 */
export function colorTable(name) {
  const samples = SAMPLES[name].match(/../g).map((byte) => parseInt(byte, 16));
  const table = new Uint8Array(256 * 3);
  for (let level = 0; level < 256; level += 1) {
    const index = Math.floor(level / STEP);
    const fraction = level / STEP - index;
    for (let channel = 0; channel < 3; channel += 1) {
      const here = samples[index * 3 + channel];
      const next = fraction ? samples[index * 3 + 3 + channel] : here;
      table[level * 3 + channel] = Math.round(here + (next - here) * fraction);
    }
  }
  return table;
}
