// A pin: a person's word that one agent is left alone at one product.
export interface Pin {
  product: string;
  /** What the agent ran when it was pinned. */
  version: string;
  actor: string;
  reason: string;
  /** Milliseconds since the epoch. */
  at: number;
}

export function pinFor(pins: readonly Pin[] | undefined, product: string): Pin | undefined {
  return pins?.find((pin) => pin.product === product);
}

/** Who pinned it and why, behind the sentence of the hold. */
export function sayPin({ version, actor, reason }: Pin): string {
  return `${version}, by ${actor}: ${reason}`;
}
