// Whether the cloud's metadata service can be reached from this host, by version 1 (plain requests) and 2 (with a token).

export interface MetadataService {
  /** `cloud.metadata.v1` and `.v2`: open or closed; nothing until it has been asked. Asks again when that is due. */
  facts(): Record<string, string>;
}

export interface MetadataOptions {
  /** e.g. http://169.254.169.254 */
  url: string;
  /** Monotonic, milliseconds. */
  nowMs(): number;
}

const EVERY_MS = 300_000;
/** The service is on the link: one that answers does so at once. */
const TIMEOUT_MS = 2_000;
/** As AWS names them (EC2 user guide, instance metadata); others that speak so are asked alike. */
const V1_PATH = '/latest/meta-data/';
const TOKEN_PATH = '/latest/api/token';
const TOKEN_TTL_HEADER = 'x-aws-ec2-metadata-token-ttl-seconds';

/** Asks in the background, one round at a time; what is answered is not read. */
export function openMetadataService({ url, nowMs }: MetadataOptions): MetadataService {
  let known: Record<string, string> = {};
  let dueMs = nowMs();
  let asking = false;

  async function ask(): Promise<void> {
    const [v1, v2] = await Promise.all([
      isOpen(url + V1_PATH, { method: 'GET' }),
      isOpen(url + TOKEN_PATH, { method: 'PUT', headers: { [TOKEN_TTL_HEADER]: '60' } }),
    ]);
    known = { 'cloud.metadata.v1': wordOf(v1), 'cloud.metadata.v2': wordOf(v2) };
  }

  return {
    facts() {
      if (!asking && nowMs() >= dueMs) {
        asking = true;
        dueMs = nowMs() + EVERY_MS;
        void ask().finally(() => {
          asking = false;
        });
      }
      return known;
    },
  };
}

async function isOpen(url: string, init: RequestInit): Promise<boolean> {
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}

function wordOf(open: boolean): string {
  return open ? 'open' : 'closed';
}
