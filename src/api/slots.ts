// A bound on how many of something go on at once, in all and per key.

export interface Slots {
  /** Takes a place; undefined when none is free. The returned function gives it back, once. */
  take(key?: string | number): (() => void) | undefined;
  taken(): number;
}

export function createSlots(limit: number, limitPerKey = limit): Slots {
  const perKey = new Map<string | number, number>();
  let taken = 0;
  function free(key: string | number | undefined): void {
    taken -= 1;
    if (key === undefined) return;
    const left = (perKey.get(key) ?? 1) - 1;
    if (left === 0) perKey.delete(key);
    else perKey.set(key, left);
  }
  return {
    take(key) {
      if (taken >= limit) return undefined;
      if (key !== undefined) {
        const mine = perKey.get(key) ?? 0;
        if (mine >= limitPerKey) return undefined;
        perKey.set(key, mine + 1);
      }
      taken += 1;
      let held = true;
      return () => {
        if (held) free(key);
        held = false;
      };
    },
    taken: () => taken,
  };
}
