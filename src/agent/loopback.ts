// Which host names mean this machine: plain http is spoken to these alone.
import { isIPv4 } from 'node:net';

/** `hostname` as URL gives it: lower case, IPv6 in brackets. */
export function isLoopback(hostname: string): boolean {
  if (hostname === 'localhost' || hostname === '[::1]') return true;
  return isIPv4(hostname) && hostname.startsWith('127.');
}
