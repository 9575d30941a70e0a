// `tidegate serve` with one thing added: it kills itself with SIGKILL at the named mark that the test has armed over IPC.
import { flushCompileCache } from 'node:module';
import { runServer } from '../../src/server.ts';

let armed: string | undefined;
process.on('message', (message: { arm: string | null }) => {
  armed = message.arm ?? undefined;
  // Node writes it at a process's end, which a killed one does not come to: the next server starts in half the time.
  flushCompileCache();
  process.send?.({ armed: message.arm });
});

function mark(name: string): void {
  if (name === armed) process.kill(process.pid, 'SIGKILL');
}

await runServer({ configFile: process.argv[2] as string, env: process.env, overrides: { mark } });
process.exit(0);
