// The four scenarios together, each at its own rate.

import { optionsOf } from './scenarios.js';

export { setup } from './settings.js';
export { list, login, order, spike } from './scenarios.js';
export const options = optionsOf('login', 'list', 'order', 'spike');
