// `tidegate serve` with one thing added: it kills itself with SIGKILL at the named mark that the test has armed over IPC.
import { runServer } from '../../src/server.ts';

let armed: string | undefined;
process.on('message', (message: { arm: string | null }) => {
  armed = message.arm ?? undefined;
  process.send?.({ armed: message.arm });
});

function mark(name: string): void {
  if (name === armed) process.kill(process.pid, 'SIGKILL');
}

await runServer({ configFile: process.argv[2] as string, env: process.env, overrides: { mark } });
process.exit(0);
