// What is left of an agent that a person has taken out of the fleet.

export interface Unenrolment {
  id: string;
  handle: number;
  name: string;
  region: string;
  /** Base64url of the raw Ed25519 key that it had; another agent may have enrolled with it since. */
  publicKey: string;
  actor: string;
  reason: string;
  /** Milliseconds since the epoch. */
  at: number;
}
