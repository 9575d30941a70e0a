// The agent's tie to its server: check-ins under a session that is opened anew when the server no longer takes it.
import { AppError } from '../errors.ts';
import type { CheckInReply } from '../protocol/agent.ts';
import type { AgentClient } from '../protocol/agent-client.ts';
import { openSession } from './enrol.ts';
import type { Enrolled } from './identity.ts';
import type { Log } from './log.ts';
import type { Paths } from './paths.ts';

export interface Link {
  /** What is trusted now; changes with a new session. */
  enrolled(): Enrolled;
  /** Throws what the client throws, after one new session at most. */
  checkIn(body: string, waitSeconds: number, signal: AbortSignal): Promise<CheckInReply>;
  renew(): Promise<void>;
}

/** Says once in the log that check-ins work again after some have failed. */
export function createLink(paths: Paths, client: AgentClient, first: Enrolled, log: Log): Link {
  let enrolled = first;
  let failures = 0;
  async function renew(): Promise<void> {
    enrolled = await openSession(paths, client);
  }
  return {
    enrolled: () => enrolled,
    renew,
    async checkIn(body, waitSeconds, signal) {
      try {
        const reply = await checkIn(body, waitSeconds, signal);
        if (failures > 0) log('info', 'check-ins work again', { failures });
        failures = 0;
        return reply;
      } catch (error) {
        // Broken off by the agent itself: says nothing about the server.
        if (!signal.aborted) failures += 1;
        throw error;
      }
    },
  };

  async function checkIn(body: string, waitSeconds: number, signal: AbortSignal): Promise<CheckInReply> {
    const send = () => client.checkIn(body, { token: enrolled.sessionToken, waitSeconds, signal });
    try {
      return await send();
    } catch (error) {
      if (!isStaleSession(error)) throw error;
    }
    await renew();
    return await send();
  }
}

export function isStaleSession(error: unknown): boolean {
  return error instanceof AppError && ['auth_missing', 'auth_invalid', 'auth_expired'].includes(error.code);
}
