// The log of agent and launcher: one JSON line per event on stderr. No dependency, since it is in both bundles.

export type LogLevel = 'info' | 'warn' | 'error';
export type Log = (level: LogLevel, message: string, data?: Record<string, unknown>) => void;

/** `write` gets one line with its line feed. ERROR only when somebody must act. */
export function createLog(name: string, write: (line: string) => void = toStderr): Log {
  return (level, message, data = {}) => {
    write(`${JSON.stringify({ time: new Date().toISOString(), level, name, message, ...data })}\n`);
  };
}

function toStderr(line: string): void {
  process.stderr.write(line);
}
