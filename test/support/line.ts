// A line to a database for tests: it can be cut between a commit and its answer, or go silent as where the host lost its power.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** `url` is that of the database behind it. */
export async function openLine(t: TestContext, url: string) {
  const to = new URL(url);
  const port = Number(to.port);
  const sockets = new Set<Socket>();
  let isArmed = false;
  let isDead = false;
  let isDown = false;
  const server = createServer((client) => {
    if (isDown) {
      client.destroy();
      return;
    }
    const behind = connect(port, to.hostname);
    let isCut = false;
    client.on('data', (data) => {
      if (isArmed && data.toString('latin1').includes('commit')) [isCut, isArmed] = [true, false];
      if (!isDead) behind.write(data);
    });
    behind.on('data', (data) => (isCut ? client.destroy() : client.write(data)));
    for (const socket of [client, behind]) sockets.add(socket.on('error', () => {}));
    client.on('close', () => behind.destroy());
    behind.on('close', () => client.destroy());
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  to.port = String((server.address() as AddressInfo).port);
  return {
    url: to.href,
    loseNextCommit() {
      isArmed = true;
    },
    /** From now on nothing comes through on the connections that there are, and none of them ends. */
    goSilent() {
      isDead = true;
    },
    /** Every connection ends, and no new one comes about. */
    goDown() {
      isDown = true;
      for (const socket of sockets) socket.destroy();
    },
    /** New connections come through again. */
    recover() {
      [isDead, isDown] = [false, false];
    },
  };
}
