// Whether a release can be had in a region on a platform; `unknown` never reads as `absent`.

export type AvailabilityStatus = 'available' | 'absent' | 'unknown';

export interface Availability {
  product: string;
  version: string;
  region: string;
  platform: string;
  status: AvailabilityStatus;
  /** One sentence: what the probe saw. */
  why: string;
  /** Since when the status stands, milliseconds since the epoch. */
  since: number;
  checkedAt: number;
}
