// Check-ins that say what thousands of others say: read once, since to read it again was a tenth of a check-in's cost.

/** As an agent of ours writes it: what is its own comes first, and what many have alike behind it. */
const HEAD = /^\{"nonce":"([A-Za-z0-9_-]{22})","boot":"([A-Za-z0-9_-]{22})",$/;
const HEAD_BYTES = 66;
/** Of a host with many products; longer ones are read each time. */
const MAX_REST_BYTES = 2_048;
const MAX_KNOWN = 512;

export interface KnownBodies {
  /** What the body says, when its end has been read before; undefined: it must be read. */
  recall(body: Buffer): object | undefined;
  /** After the body has been read whole, and nothing was wrong with it. */
  remember(body: Buffer, value: unknown): void;
}

/**
 * The ends are told apart by their bytes. What an end says does not depend on the head, which holds two keys and no more:
 * a third of the same name in the end is refused before anything is remembered.
 */
export function createKnownBodies(): KnownBodies {
  const known = new Map<string, object>();
  return {
    recall(body) {
      if (body.length <= HEAD_BYTES || body.length > HEAD_BYTES + MAX_REST_BYTES) return undefined;
      const rest = known.get(body.toString('latin1', HEAD_BYTES));
      if (rest === undefined) return undefined;
      const head = HEAD.exec(body.toString('latin1', 0, HEAD_BYTES));
      return head === null ? undefined : { nonce: head[1], boot: head[2], ...rest };
    },
    remember(body, value) {
      if (body.length > HEAD_BYTES + MAX_REST_BYTES || !HEAD.test(body.toString('latin1', 0, HEAD_BYTES))) return;
      const { nonce: _, boot: __, ...rest } = value as Record<string, unknown>;
      // Facts are kept for good, and must not be shared with what is remembered here. Attempts are one agent's own: kept,
      // those of a large step would push out what many say.
      if ('facts' in rest || (Array.isArray(rest['attempts']) && rest['attempts'].length > 0)) return;
      // Agents that run many versions: begun anew, it holds what comes often soon enough.
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(body.toString('latin1', HEAD_BYTES), frozen(rest));
    },
  };
}

/** Deep: it is shared by all who say the same. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
