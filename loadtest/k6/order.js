// Ordinary orders: a transaction each.

import { optionsOf } from './scenarios.js';

export { setup } from './settings.js';
export { order } from './scenarios.js';
export const options = optionsOf('order');
