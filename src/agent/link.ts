// The agent's tie to its server: check-ins under a session that is opened anew when the server no longer takes it.
import { AppError } from '../errors.ts';
import type { CheckInReply } from '../protocol/agent.ts';
import type { AgentClient } from '../protocol/agent-client.ts';
import { openSession } from './enrol.ts';
import type { Enrolled } from './identity.ts';
import type { Paths } from './paths.ts';

export interface Link {
  /** What is trusted now; changes with a new session. */
  enrolled(): Enrolled;
  /** Throws what the client throws, after one new session at most. */
  checkIn(body: string, waitSeconds: number, signal: AbortSignal): Promise<CheckInReply>;
  renew(): Promise<void>;
}

export function createLink(paths: Paths, client: AgentClient, first: Enrolled): Link {
  let enrolled = first;
  async function renew(): Promise<void> {
    enrolled = await openSession(paths, client);
  }
  return {
    enrolled: () => enrolled,
    renew,
    async checkIn(body, waitSeconds, signal) {
      const send = () => client.checkIn(body, { token: enrolled.sessionToken, waitSeconds, signal });
      try {
        return await send();
      } catch (error) {
        if (!isStaleSession(error)) throw error;
      }
      await renew();
      return await send();
    },
  };
}

export function isStaleSession(error: unknown): boolean {
  return error instanceof AppError && ['auth_missing', 'auth_invalid', 'auth_expired'].includes(error.code);
}
