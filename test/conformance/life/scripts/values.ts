// What the lives share: names and definitions.

export const NS = '{tenant}/work'
export const TOPIC = `persistent://${NS}/orders`
export const PARTS = `persistent://${NS}/parts`
export const RECORD = '{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}'
export const WIDER =
  '{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"note","type":["null","string"],"default":null}]}'

export const HALVES = { boundaries: ['0x00000000', '0x80000000', '0xffffffff'], numBundles: 2 }
export const LEFT_HALF = '0x00000000_0x80000000'
