// The benchmarks in small: that they run, and what in them is no matter of speed.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const hasWrk = spawnSync('wrk', ['-v']).error === undefined;

test('bench:check-in: check-ins that change nothing write nothing, and a forged token gets 401', {
  skip: hasWrk ? false : 'wrk is not installed',
}, async () => {
  const report = await bench('check-in.ts', '--agents=300 --rounds=1 --seconds=1 --admission-agents=40');
  assert.deepEqual([report.agents, report.regions, report.rowsWritten], [300, 20, 0]);
  assert.deepEqual(report.forgedTokenStatus, [401]);
  for (const server of ['bare', 'tidegate']) assert.ok(report[server].requestsPerSecond > 0, server);
  assert.ok(report.cpuRatio > 0);
  assert.ok(report.admissions.outcomesPerSecond > 0 && report.admissions.largestBatch > 1);
});

test('bench:scale: every part says its figures', async () => {
  const report = await bench('scale.ts', '--largest=1000');
  assert.equal(report.roster[0].agents, 1000);
  assert.equal(report.freeze[0].members, 500);
  assert.equal(report.plan.lanes, 1000);
  for (const part of ['roster', 'start', 'freeze']) assert.equal(report[part].length, 1, part);
  assert.ok(report.decide.medianUs > 0 && report.start[0].firstAnswerSeconds > 0);
});

test('bench:plan: every part says its figures, and a pass with nothing to do writes nothing', async () => {
  const report = await bench('plan.ts', '--agents=1000 --rollouts=3 --decisions=1000');
  assert.equal(report.plan.lanes, 60);
  assert.equal(report.freeze.members, 500);
  assert.equal(report.quiet.rowsWritten, 0);
  assert.ok(report.decide.medianUs > 0);
});

test('bench:rehearse: everybody present is updated, and it says what it took', async () => {
  const report = await bench('rehearse.ts', '--agents=400');
  assert.deepEqual([report.agents, report.updated], [400, 360]);
  assert.ok(report.events > 0 && report.seconds > 0);
});

test('fillFleetFile: what the server reads is what was asked for', async (t) => {
  const { fillFleetFile, seededAgent } = await import('./fleet-file.ts');
  const { openDatabase } = await import('../../src/store/database.ts');
  const { loadAllAgents } = await import('../../src/store/agents.ts');
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-fleet-file-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'tidegate.db');
  const regions = ['eu', 'us'];
  await fillFleetFile({ path, agents: 5, regions, product: 'agentd', version: '1.0.0', digest: 'a'.repeat(64) });
  const database = await openDatabase(`sqlite:${path}`);
  const agents = await loadAllAgents(database.db, 0, 10);
  await database.close();
  assert.deepEqual(
    agents.map(({ handle, region, labels }) => ({ handle, region, canary: labels['role'] === 'canary' })),
    [1, 2, 3, 4, 5].map((handle) => seededAgent(regions, handle)),
  );
  assert.deepEqual(agents[0]?.products, [{ product: 'agentd', version: '1.0.0', digest: 'a'.repeat(64) }]);
});

// biome-ignore lint/suspicious/noExplicitAny: the report is checked field by field
async function bench(file: string, flags: string): Promise<any> {
  const args = [join(import.meta.dirname, file), ...flags.split(' ')];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
  return JSON.parse(stdout);
}
