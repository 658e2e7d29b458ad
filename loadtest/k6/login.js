// Logins: a password hash each.

import { optionsOf } from './scenarios.js';

export { setup } from './settings.js';
export { login } from './scenarios.js';
export const options = optionsOf('login');
