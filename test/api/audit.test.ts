// GET /api/v1/audit through the real routes and the real engine: people first, page by page, with names for ids.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { auditPage } from '../../src/cli/audit-page.ts';
import { AuditReply, RolloutsReply, VerbReply } from '../../src/protocol/operator.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { serveFleet } from './real-engine.ts';

const POLICY = testPolicy({ waves: [['eu-west-1', 'us-east-1']], steps: [stepPolicy({ soakMs: 0 })] });
const STYLE = { width: 80, paint: (_: string, text: string) => text };

test('what people did, newest first, in pages; with all also what the engine and the agents did', async (t) => {
  const { fleet, ok, refused } = await serveFleet(t, rules(POLICY));
  const empty: AuditReply = await ok(AuditReply, '/audit');
  assert.deepEqual(auditPage({ ...empty, entries: [] }, {}, STYLE), ['nobody has done anything yet']);
  const host = await fleet.enrol('host');
  await fleet.publish('1.0.0');
  await fleet.publish('1.1.0');
  const { rollouts } = await ok(RolloutsReply, '/rollouts');
  const path = `/rollouts/${rollouts[0].id}/verbs`;
  await ok(VerbReply, path, { verb: 'pause', reason: 'wait for the fix' });
  await ok(VerbReply, path, { verb: 'resume', reason: 'it was nothing' });
  assert.equal(await host.run(), 'none');
  await fleet.engine.operator.setPin({
    ...{ agentId: host.id, product: 'agentd', version: null, on: true },
    ...{ actor: 'dana', reason: 'under test' },
  });
  const acts = async (query: string) => {
    const { entries, next }: AuditReply = await ok(AuditReply, `/audit${query}`);
    return [entries.map(({ actor, action, about }) => `${actor} ${action} ${about}`), next] as const;
  };
  const [people] = await acts('');
  assert.deepEqual(people.slice(0, 3), [
    'dana agent.pinned host',
    'operator lane.resumed agentd 1.1.0 in eu-west-1',
    'operator lane.paused agentd 1.1.0 in eu-west-1',
  ]);
  assert.deepEqual((await acts('?by=dana'))[0], people.slice(0, 1));
  const [[first], next] = await acts('?limit=1');
  assert.equal(first, people[0]);
  assert.deepEqual((await acts(`?limit=2&before=${next}`))[0], people.slice(1, 3));
  const [all] = await acts('?all=true&limit=500');
  for (const one of [
    'tidegate rollout.created agentd 1.1.0',
    'tidegate attempt.granted host to agentd 1.1.0',
    'agent host attempt.succeeded host to agentd 1.1.0',
    'tidegate baseline.opened the baseline agentd 1.1.0 in eu-west-1',
    'agent host agent.enrolled host',
  ])
    assert(all.includes(one), one);
  const page = auditPage(await ok(AuditReply, '/audit?limit=2'), {}, STYLE);
  assert.match(
    page.join('\n'),
    /operator: lane\.resumed agentd 1\.1\.0 in eu-west-1\n {2}it was nothing\n {2}was paused\n/,
  );
  assert.match(page.at(-1) ?? '', /^older ones: tidegate audit --before \d+$/);
  assert.equal((await refused('/audit?limit=0')).code, 'bad_request');
});

test('people are found by the index, however much else there is', async (t) => {
  const { fleet } = await serveFleet(t, rules(POLICY));
  const plan = await sql<{ detail: string }>`explain query plan select * from audit
    where actor <> 'tidegate' and actor <> 'system' and substr(actor, 1, 6) <> 'agent:' order by seq desc limit 5`.execute(
    fleet.database.db,
  );
  assert.match(plan.rows.map(({ detail }) => detail).join(), /audit_by_people/);
});
