// fast-check as the tests use it: every run of `npm test` draws the same cases; `npm run test:random` draws others.
import fc from 'fast-check';

const FIXED_SEED = 20_260_701;
const named = process.env['TEST_SEED'];

fc.configureGlobal({ seed: named === undefined ? FIXED_SEED : Number(named) });

export default fc;
