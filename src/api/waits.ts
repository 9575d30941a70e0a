// The requests that wait for something to happen: each ends when its client goes away or the server closes.
import type { FastifyReply } from 'fastify';

export interface Waits {
  /** Fires when the client of this reply has gone, or the server closes. */
  signalFor(reply: FastifyReply): AbortSignal;
  /** Ends every wait, those to come included. */
  end(): void;
}

export function createWaits(): Waits {
  const waiting = new Set<AbortController>();
  let over = false;
  return {
    signalFor(reply) {
      if (over) return AbortSignal.abort();
      const controller = new AbortController();
      waiting.add(controller);
      // The reply's `close` comes in every case: after its end, or when the connection breaks before.
      reply.raw.once('close', () => {
        waiting.delete(controller);
        controller.abort();
      });
      return controller.signal;
    },
    end() {
      over = true;
      for (const controller of waiting) controller.abort();
      waiting.clear();
    },
  };
}
