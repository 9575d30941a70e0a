// One of the two servers that the check-in benchmark compares, as a process of its own: Tidegate, or a bare Fastify.
import Fastify from 'fastify';
import { sql } from 'kysely';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { openContext } from '../../src/context.ts';
import { CheckInReply, CheckInRequest } from '../../src/protocol/agent.ts';

/** What the driver asks over the channel, and what it gets back. */
export type Question = 'usage' | 'changes' | 'start' | 'stop';
export interface Usage {
  /** Microseconds of user and system time of the whole process. */
  cpuUs: number;
  rssBytes: number;
}

const [kind = '', configFile = ''] = process.argv.slice(2);
const served = kind === 'tidegate' ? await serveTidegate(configFile) : await serveBare();

process.on('message', async (question: Question) => {
  if (question === 'usage') {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuUs: user + system, rssBytes: process.memoryUsage().rss } satisfies Usage);
  } else if (question === 'changes') process.send?.(await served.changes());
  else if (question === 'start') {
    served.start();
    process.send?.(true);
  } else {
    await served.close();
    process.exit(0);
  }
});
process.send?.(served.url);

async function serveTidegate(file: string) {
  const context = await openContext(readConfig({ file, env: {} }), { logger: pino({ level: 'error' }) });
  // Not started yet: what a check-in writes is counted while nothing else can write.
  await context.syncNow();
  await context.syncNow();
  const url = await context.app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    start: () => context.start(),
    async changes() {
      const { rows } = await sql<{ changes: number }>`select total_changes() as changes`.execute(context.database.db);
      return rows[0]?.changes ?? -1;
    },
    close: () => context.close(),
  };
}

/** The floor: the same schemas, the parsing and serialising that Fastify brings, a constant reply, nothing else. */
async function serveBare() {
  const app = Fastify({ logger: false });
  const reply = {
    answer: { kind: 'hold', reason: 'not_in_step', sentence: 'the agent is in no opened step yet' },
    acknowledged: [],
    nextInMs: 60_000,
    wantFacts: false,
  };
  app.post(
    '/agent/v1/check-in',
    { schema: { body: CheckInRequest, response: { 200: CheckInReply } } },
    async () => reply,
  );
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, start: () => {}, changes: async () => 0, close: () => app.close() };
}
