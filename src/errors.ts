// One error class with a closed list of codes, and the one table from code to HTTP status, exit code and hint.

interface ErrorRule {
  /** HTTP status that the API answers with. */
  status: number;
  /** Exit code of the CLI and the bins; documented in README. */
  exit: number;
  /** What a person can do about it; one sentence. */
  hint: string;
}

/** Exit codes: 1 unexpected, 2 usage, 3 refused input or file, 4 credentials, 5 conflict with the state, 6 network, 7 trust. */
export const ERROR_RULES = {
  usage: { status: 400, exit: 2, hint: 'Run the command with --help.' },
  node_too_old: {
    status: 500,
    exit: 3,
    hint: 'Run through npm scripts or npx, which bring Node 24, or install Node 24.',
  },
  config_missing: { status: 500, exit: 3, hint: 'Name the file with --config, or start from config/tidegate.yaml.' },
  file_unusable: { status: 500, exit: 3, hint: 'Check the path, the rights and the disk.' },
  config_invalid: {
    status: 422,
    exit: 3,
    hint: 'Mend the place that is named; `tidegate config check` checks the file alone.',
  },
  bad_request: { status: 400, exit: 3, hint: 'Send what the schema of the route says.' },
  unknown_version: { status: 422, exit: 3, hint: 'Send the version as the product’s scheme writes it.' },
  unsupported_media_type: { status: 415, exit: 3, hint: 'Send content-type: application/json.' },
  body_too_large: { status: 413, exit: 3, hint: 'Send a smaller body.' },
  auth_missing: { status: 401, exit: 4, hint: 'Send an Authorization: Bearer header.' },
  auth_invalid: { status: 401, exit: 4, hint: 'Check the token; it may belong to another server or be mistyped.' },
  auth_expired: { status: 401, exit: 4, hint: 'Get a new token: agents open a new session, operators create one.' },
  unenrolled: {
    status: 410,
    exit: 5,
    hint: 'To bring the host back, put a new enrolment token into its agent.json, remove state/identity.json and start it again.',
  },
  enrol_denied: { status: 403, exit: 4, hint: 'Create a new enrolment token with `tidegate enrol-token create`.' },
  forbidden: { status: 403, exit: 4, hint: 'Use a token that may do this.' },
  not_found: { status: 404, exit: 3, hint: 'List what there is first.' },
  conflict: { status: 409, exit: 5, hint: 'Look at the present state, then decide again.' },
  illegal_transition: { status: 409, exit: 5, hint: 'Look at the present state, then decide again.' },
  revision_mismatch: {
    status: 412,
    exit: 5,
    hint: 'It has moved since you looked: look at it again (`tidegate rollout show`), then decide.',
  },
  foreign_attempt: { status: 403, exit: 5, hint: 'An agent may report only on its own attempts.' },
  overloaded: { status: 503, exit: 6, hint: 'Try again after the time in the Retry-After header.' },
  not_ready: { status: 503, exit: 6, hint: 'Try again after the time in the Retry-After header.' },
  database_newer: { status: 500, exit: 3, hint: 'Run the Tidegate version that wrote this database, or a newer one.' },
  database_locked: { status: 500, exit: 5, hint: 'Stop the other `tidegate serve` on this database first.' },
  database_unusable: {
    status: 500,
    exit: 3,
    hint: 'Check the path, the rights and the disk; restore a backup if the file is damaged.',
  },
  port_taken: { status: 500, exit: 5, hint: 'Set server.listen to a free port, or stop what uses it.' },
  github_auth: {
    status: 502,
    exit: 4,
    hint: 'Check github.token: it is missing, expired, or may not read this repository.',
  },
  github_rate_limited: {
    status: 502,
    exit: 6,
    hint: 'Nothing to do: polling goes on by itself at the time that GitHub named.',
  },
  github_not_found: {
    status: 502,
    exit: 3,
    hint: 'Check products[].repository; a private repository also reads as missing without a token.',
  },
  github_unavailable: { status: 502, exit: 6, hint: 'Nothing to do: polling is tried again with growing pauses.' },
  github_bad_response: {
    status: 502,
    exit: 6,
    hint: 'Nothing changes until GitHub answers properly; check what stands between.',
  },
  artifact_unavailable: { status: 503, exit: 6, hint: 'The server could not get the bytes yet; it tries again.' },
  digest_mismatch: { status: 502, exit: 7, hint: 'The bytes are not the published ones; nothing was kept.' },
  archive_rejected: {
    status: 422,
    exit: 7,
    hint: 'Build the artifact with `npm run build:agent`: plain files and directories only.',
  },
  trust_failure: { status: 403, exit: 7, hint: 'Nothing was run; find out who sent this.' },
  state_damaged: { status: 500, exit: 7, hint: 'Enrol this host again with a new token.' },
  unreachable: { status: 502, exit: 6, hint: 'Check the address, and that the server runs.' },
  timeout: { status: 504, exit: 6, hint: 'Try again.' },
  wait_not_reached: { status: 500, exit: 5, hint: 'Look at `tidegate status` for the reason.' },
  internal: { status: 500, exit: 1, hint: 'This is a bug in Tidegate; the log has the details.' },
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof ERROR_RULES;

export interface AppErrorOptions {
  cause?: unknown;
  /** Replaces the hint of the table where a better one is known. */
  hint?: string;
  /** File, line, JSON pointer, route: where the cause stands. */
  where?: string;
  /** When to try again, milliseconds from now. */
  retryAfterMs?: number;
}

/** An operation that failed in a way that its caller or a person can act on. Bugs throw plain Errors instead. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly where: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.hint = options.hint ?? ERROR_RULES[code].hint;
    this.where = options.where;
    this.retryAfterMs = options.retryAfterMs;
  }

  get status(): number {
    return ERROR_RULES[this.code].status;
  }

  get exit(): number {
    return ERROR_RULES[this.code].exit;
  }
}

/** Throws a plain Error: the caller has a bug. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Marks the branch that the type checker knows to be impossible. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
