// One process per root and role. On Linux the lock is an abstract socket: the kernel gives it back when the process
// dies, however it dies, so that nothing stale can be left behind. Elsewhere it is a socket file, which a crash leaves
// behind: one that nobody answers on is removed, and two starts at the very same moment are not told apart there.
import { createHash } from 'node:crypto';
import { realpathSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

/** Length of an address in sockaddr_un; man 7 unix. */
const SUN_PATH_BYTES = 108;

export interface Lock extends Disposable {
  release(): void;
}

/** Undefined when another process holds it. Processes in other network namespaces are not seen. */
export async function takeLock(root: string, role: 'launcher' | 'agent'): Promise<Lock | undefined> {
  if (process.platform === 'linux') return await listen(abstractName(root, role));
  const path = join(root, 'state', `${role}.lock`);
  const lock = await listen(path);
  if (lock !== undefined || (await isAnswered(path))) return lock;
  rmSync(path, { force: true });
  return await listen(path);
}

function abstractName(root: string, role: string): string {
  const id = createHash('sha256').update(realpathSync(root)).digest('hex').slice(0, 32);
  // To the full length: Node before 24 fills a shorter name with zeros, which is another name to the kernel.
  return `\0tidegate-${role}-${id}`.padEnd(SUN_PATH_BYTES, '-');
}

function listen(path: string): Promise<Lock | undefined> {
  const server: Server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => {
      server.unref();
      const release = (): void => void server.close();
      resolve({ release, [Symbol.dispose]: release });
    });
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
