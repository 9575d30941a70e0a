// The ticker with the process's own timers replaced by ones that the test moves.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { startPolling } from '../../src/tracker/polling.ts';
import { NOW, readableLogger } from './world.ts';

async function flush(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms);
  await flush();
}

test('startPolling runs at the times of the expression, never two at once, and not after stop', async () => {
  mock.timers.enable({ apis: ['Date', 'setTimeout', 'setInterval'], now: NOW });
  try {
    const { logger, lines } = readableLogger();
    let runs = 0;
    let finish = (): void => {};
    const run = () => {
      runs += 1;
      if (runs === 1) throw new Error('the first run fails');
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    };
    const polling = startPolling({ cron: '*/10 * * * * *', run: async () => run(), timezone: 'UTC', logger });
    await flush();
    await pass(10_000);
    assert.equal(runs, 1);
    assert.equal(lines.filter((line) => line.level === 50).length, 1);
    await pass(10_000);
    assert.equal(runs, 2, 'a failed run does not end the ticking');
    await pass(10_000);
    assert.equal(runs, 2, 'the second run is still under way');
    finish();
    await flush();
    await pass(10_000);
    assert.equal(runs, 3);
    let stopped = false;
    const stopping = polling.stop().then(() => {
      stopped = true;
    });
    await flush();
    assert.equal(stopped, false, 'stop waits for the run under way');
    finish();
    await stopping;
    await pass(60_000);
    assert.equal(runs, 3);
  } finally {
    mock.timers.reset();
  }
});
