// `npm run bench:plan`: what planning, deciding and freezing cost, and that a pass with nothing to do writes nothing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fillFleetFile } from './fleet-file.ts';
import { part } from './run-part.ts';

const QUIET_AGENTS = 10_000;

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '1000000' },
    rollouts: { type: 'string', default: '50' },
    decisions: { type: 'string', default: '200000' },
  },
});
const directory = mkdtempSync(join(tmpdir(), 'tidegate-bench-plan-'));
try {
  const path = join(directory, 'tidegate.db');
  const regions = Array.from({ length: 20 }, (_, index) => `region-${index + 1}`);
  const fleet = { path, agents: QUIET_AGENTS, regions, product: 'agentd', version: '1.0.0' };
  await fillFleetFile({ ...fleet, digest: 'a'.repeat(64) });
  const plan = await part('plan', Number(values.rollouts));
  const decide = await part('decide', Number(values.decisions));
  const freeze = await part('freeze', Number(values.agents));
  const quiet = await part('quiet', QUIET_AGENTS, path);
  process.stdout.write(`${JSON.stringify({ plan, decide, freeze, quiet })}\n`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
