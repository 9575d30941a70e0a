// The link's log: that check-ins work again is said once, and what the agent breaks off itself is no failure.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createLink } from '../../src/agent/link.ts';
import { pathsOf } from '../../src/agent/paths.ts';
import { AppError } from '../../src/errors.ts';
import type { CheckInReply } from '../../src/protocol/agent.ts';
import type { AgentClient } from '../../src/protocol/agent-client.ts';

const REPLY: CheckInReply = { answer: { kind: 'none' }, acknowledged: [], nextInMs: 5, wantFacts: false };

it('says once that check-ins work again, with how many had failed', async () => {
  let works = true;
  // Stands for the network alone.
  const client = {
    async checkIn() {
      if (works) return REPLY;
      throw new AppError('unreachable', 'gone');
    },
  } as unknown as AgentClient;
  const lines: unknown[] = [];
  const enrolled = { agent: 'a', region: 'r', directorKeys: { current: 'c', next: 'n' }, sessionToken: 't' };
  const link = createLink(pathsOf('/nowhere'), client, enrolled, (level, message, data) =>
    lines.push([level, message, data]),
  );
  const signal = new AbortController().signal;
  const checkIn = (with_ = signal) => link.checkIn('{}', 0, with_);

  await checkIn();
  works = false;
  await assert.rejects(checkIn(AbortSignal.abort()), { code: 'unreachable' });
  works = true;
  await checkIn();
  assert.deepEqual(lines, []);

  works = false;
  await assert.rejects(checkIn(), { code: 'unreachable' });
  await assert.rejects(checkIn(), { code: 'unreachable' });
  works = true;
  await checkIn();
  await checkIn();
  assert.deepEqual(lines, [['info', 'check-ins work again', { failures: 2 }]]);
});
