// The first page of the catalogue, again and again.

import { optionsOf } from './scenarios.js';

export { setup } from './settings.js';
export { list } from './scenarios.js';
export const options = optionsOf('list');
