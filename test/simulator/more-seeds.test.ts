// The second half of the seeds of every `npm test`: test files run side by side, so that each half has a core.
import { test } from 'node:test';
import { keepsPromises } from './keeps-promises.ts';

test('every promise is kept in the next 100 seeds', () => keepsPromises(101, 100));
