// Staging on the host, from the bytes to the sealed directory; ends in one event for the machine.
import type { Host } from './host.ts';
import type { Event } from './machine.ts';
import type { Order } from './order.ts';

/** Throws when the signal aborts, or on a bug. What lies sealed already is not brought again. */
export async function stage(host: Host, order: Order, signal: AbortSignal): Promise<Event> {
  const { attempt } = order;
  const fault = host.hasSealed(order) ? await host.selfTest(order) : await stageAfresh(host, order, signal);
  return fault === undefined ? { kind: 'staged', attempt } : { kind: 'stageFailed', attempt, ...fault };
}

async function stageAfresh(host: Host, order: Order, signal: AbortSignal) {
  const fault = (await host.download(order, signal)) ?? (await host.unpack(order));
  signal.throwIfAborted();
  if (fault !== undefined) return fault;
  const failed = await host.selfTest(order);
  signal.throwIfAborted();
  return failed ?? host.seal(order);
}
